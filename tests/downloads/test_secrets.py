"""Credentials are never printed or forwarded, connections are secure, no code runs."""

import base64
import re
import traceback
from pathlib import Path

import pytest
import torch

from mmgab.checkpoints import read_checkpoint
from mmgab.downloads import http_transfer
from mmgab.downloads.download import download, split_hash

from .cached_files import names
from .servers import ANSWERS, redirects, sends, serving


@pytest.mark.parametrize('case', ANSWERS)
def test_credentials_are_neither_printed_nor_stored(case, server, hub, capfd, monkeypatch):
    monkeypatch.setattr(http_transfer, 'SILENT_SECONDS', 0)
    place = server.url.removeprefix('http://')
    server.answers['/swin.pth'], _ = ANSWERS[case]
    url = f'http://me:s3cret@{place}/swin.pth?token=t0ken&x=1'
    with pytest.raises(ConnectionError) as caught:
        download(url)
    text = ''.join(traceback.format_exception(caught.value)) + ''.join(capfd.readouterr())
    assert f'{place}/swin.pth?...' in text
    assert 's3cret' not in text
    assert 't0ken' not in text
    wanted = 'Basic ' + base64.b64encode(b'me:s3cret').decode()
    assert server.requests[0].headers['Authorization'] == wanted


def test_url_and_hash_errors_omit_secrets(server, hub, content):
    place = server.url.removeprefix('http://')
    url = f'http://me:s3%2Fcret@{place}/swin.pth?token=t0ken'
    attempts = [
        lambda: split_hash(f'{url}#md5=1'),
        lambda: download(url, '00000000'),
        lambda: download(url, 'short'),
        lambda: download(f'http://me:s3/cret@{place}/swin.pth?token=t0ken'),
        lambda: download(f'ftp://me:s3cret@{place}/swin.pth?token=t0ken'),
        lambda: download(f'http://me:s3cret@{place}/?token=t0ken'),
    ]
    for attempt in attempts:
        with pytest.raises(ValueError, match=r'.') as caught:
            attempt()
        text = ''.join(traceback.format_exception_only(caught.value))
        assert not re.search('s3|cret|t0ken', text), text
    path = download(url)
    assert names(hub) == [path.name]
    assert path.name.endswith('-swin.pth')
    assert (
        server.requests[-1]
        .headers['Authorization']
        .endswith(base64.b64encode(b'me:s3/cret').decode())
    )
    assert download(f'{server.url}/swin.pth?token=t0ken') == path  # the name has no trace of them


def test_secrets_repeated_by_server_are_not_printed(server):
    page = b'<title>No /swin.pth?token=t0ken at http://me:s3cret@host/</title>'
    server.answers['/swin.pth'] = sends(page)
    with pytest.raises(ConnectionError, match=r'"No /swin\.pth\?\.\.\. at http://host/"'):
        download(f'{server.url}/swin.pth?token=t0ken')


def test_credentials_are_not_sent_to_redirect_target(server, content):
    with serving(content) as other:
        server.answers['/swin.pth'] = redirects(f'{other.url}/swin.pth')
        place = server.url.removeprefix('http://')
        assert download(f'http://me:s3cret@{place}/swin.pth').read_bytes() == content
        assert server.requests[0].headers['Authorization']
        assert 'Authorization' not in other.requests[0].headers


@pytest.mark.process
def test_https_redirects_only_to_https(certificate, server, hub, content):
    with serving(content, certificate) as secure:
        secure.answers['/there.pth'] = redirects(f'{secure.url}/swin.pth')
        secure.answers['/away.pth'] = redirects(f'{server.url}/swin.pth')
        assert download(f'{secure.url}/there.pth').read_bytes() == content
        with pytest.raises(ConnectionError, match='redirects from https to http, not allowed'):
            download(f'{secure.url}/away.pth')
    assert not server.requests
    server.answers['/up.pth'] = redirects(f'{secure.url}/swin.pth')
    with pytest.raises(ConnectionError, match='refused'):  # by the server, which is closed
        download(f'{server.url}/up.pth')


@pytest.mark.process
def test_untrusted_certificate_is_reported(certificate, content, monkeypatch):
    monkeypatch.delenv('SSL_CERT_FILE')
    with serving(content, certificate) as secure, pytest.raises(ConnectionError, match='CERTIF'):
        download(f'{secure.url}/swin.pth')


class Touches:
    """Unpickles to a file that is made."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickle_code_from_url_is_not_run(server, tmp_path):
    torch.save(dict(meta=Touches(tmp_path / 'victim')), tmp_path / 'evil.pth')
    server.content = (tmp_path / 'evil.pth').read_bytes()
    with pytest.raises(ValueError, match=r'evil\.pth .* is rejected'):
        read_checkpoint(f'{server.url}/evil.pth')
    assert not (tmp_path / 'victim').exists()
