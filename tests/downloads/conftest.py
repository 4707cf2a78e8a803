"""A server on this machine, and an empty folder for what is downloaded."""

import shutil
import ssl
import subprocess

import pytest
import torch

from .servers import serving


@pytest.fixture(scope='module')
def content(tmp_path_factory):
    """A checkpoint's bytes."""
    path = tmp_path_factory.mktemp('content') / 'swin.pth'
    torch.save(dict(state_dict=dict(weight=torch.arange(5000.0))), path)
    return path.read_bytes()


@pytest.fixture
def server(content):
    with serving(content) as server:
        yield server


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """An empty hub folder of torch's, and no proxy."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    for name in ('http_proxy', 'https_proxy', 'all_proxy'):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / 'hub' / 'checkpoints'


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """Of a server on this machine, trusted; with its key."""
    if shutil.which('openssl') is None:
        pytest.skip('openssl makes the certificate')
    key, path = tmp_path / 'key.pem', tmp_path / 'certificate.pem'
    command = 'openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=here -addext'
    command = [*command.split(), 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', path]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.setenv('SSL_CERT_FILE', str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    return context
