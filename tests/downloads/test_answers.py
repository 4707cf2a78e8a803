"""Downloads from misbehaving servers raise errors."""

from pathlib import Path

import pytest
import torch

from mmgab.checkpoints import read_checkpoint
from mmgab.downloads import http_connection
from mmgab.downloads.download import download

from .cached_files import is_here, names, sha256
from .servers import ANSWERS, ENDLESS, SILENT, SLOW, redirects, send_file, sends, serving


@pytest.mark.parametrize('case', ANSWERS)
def test_invalid_answer_is_reported_and_deleted(case, server, hub, content):
    url = f'{server.url}/swin.pth'
    server.answers['/swin.pth'], reason = ANSWERS[case]
    with pytest.raises(ConnectionError, match=rf'swin\.pth cannot be downloaded: .*{reason}') as e:
        download(url)
    assert str(e.value).isprintable()
    assert names(hub) == []
    server.answers.clear()
    assert download(url).read_bytes() == content


@pytest.mark.parametrize('answer', SILENT)
def test_silent_server_raises_error(answer, server, hub, monkeypatch):
    monkeypatch.setattr(http_connection, 'TIMEOUT', 0.3)
    server.answers['/swin.pth'] = answer
    with pytest.raises(ConnectionError, match=r'sent nothing for 0\.3 s'):
        download(f'{server.url}/swin.pth')
    assert names(hub) == []


@pytest.mark.parametrize('answer', SLOW)
def test_slow_server_raises_error(answer, server, hub, monkeypatch):
    monkeypatch.setattr(http_connection, 'RATE_WINDOW', 0.3)
    monkeypatch.setattr(http_connection, 'MIN_RATE', 10**6)
    server.answers['/swin.pth'] = answer
    with pytest.raises(ConnectionError, match=r'sent \d+ bytes in 0\.\d s; 1000000 a second is'):
        download(f'{server.url}/swin.pth')
    assert names(hub) == []


@pytest.mark.process
def test_limits_apply_to_https(certificate, content, monkeypatch):
    with serving(content, certificate) as secure:
        secure.answers.update({'/slow.pth': SLOW[0], '/endless.pth': ENDLESS[0]})
        monkeypatch.setattr(http_connection, 'RATE_WINDOW', 0.1)
        monkeypatch.setattr(http_connection, 'MIN_RATE', 10**6)
        with pytest.raises(ConnectionError, match='a second is'):
            download(f'{secure.url}/slow.pth')
        monkeypatch.setattr(http_connection, 'MAX_BYTES', 3 * 10**6)
        with pytest.raises(ConnectionError, match='which is the limit'):
            download(f'{secure.url}/endless.pth')


@pytest.mark.parametrize('answer', ENDLESS)
def test_endless_answer_raises_error(answer, server, hub, monkeypatch):
    monkeypatch.setattr(http_connection, 'MAX_BYTES', 3 * 10**6)
    server.answers['/swin.pth'] = answer
    with pytest.raises(ConnectionError, match=r'more than 0\.0 GB, which is the limit'):
        download(f'{server.url}/swin.pth')
    assert names(hub) == []


def test_redirect_body_is_not_read(server, content):
    server.answers['/old'] = redirects('/swin.pth', bytes(1 << 16))
    assert download(f'{server.url}/old').read_bytes() == content


def test_too_small_content_length_is_caught_by_check(server, hub, content):
    """HTTP ends the answer there; only a check of the contents detects it."""
    server.answers['/swin.pth'] = sends(content, Content_Length=1000)
    with pytest.raises(ValueError, match='is damaged'):
        download(f'{server.url}/swin.pth', check=is_here(sha256(content)))
    with pytest.raises(ValueError, match='its sha256 is'):
        download(f'{server.url}/swin.pth', sha256(content))
    assert names(hub) == []


def test_answers_without_length_are_read(server, content):
    chunks = b''.join(b'%x\r\n%b\r\n' % (len(c), c) for c in (content[:9], content[9:], b''))
    server.answers['/closed.pth'] = sends(content)
    server.answers['/nonsense.pth'] = sends(content, Content_Length='many')
    server.answers['/chunked.pth'] = sends(chunks, Transfer_Encoding='chunked')
    for name in server.answers:
        assert download(server.url + name).read_bytes() == content


def test_file_larger_than_free_disk_space_is_rejected_early(server, hub, monkeypatch):
    monkeypatch.setattr(http_connection, 'MAX_BYTES', 2**62)
    server.answers['/swin.pth'] = sends(b'\0', Content_Length=2**61)
    with pytest.raises(
        OSError, match=r'but .*checkpoints has only .* GB free: free disk space'
    ) as caught:
        download(f'{server.url}/swin.pth')
    assert not isinstance(caught.value, ConnectionError)
    assert names(hub) == []


def test_unreachable_server_error_has_url():
    # Port 9 of this machine, where nothing listens: refused at once.
    for url in ('http://127.0.0.1:9/swin.pth', 'http://a..b/swin.pth', 'http://%0d%0a/swin.pth'):
        with pytest.raises(ConnectionError, match=r'swin\.pth cannot be downloaded'):
            download(url)


@pytest.mark.parametrize(
    'url', ['file:///etc/passwd', 'ftp://127.0.0.1/a', 'http:///a', 'http://[::1/a', '/etc/passwd']
)
def test_url_with_other_scheme_is_rejected(url, hub):
    with pytest.raises(ValueError, match=r"the URL of '.+' has an invalid scheme, host or port"):
        download(url)
    with pytest.raises(ValueError, match='has no file name'):
        download('http://127.0.0.1:9/folder/?file=a.pth')


def test_proxy_is_used(server, content, monkeypatch):
    monkeypatch.setenv('http_proxy', server.url)
    server.answers['/swin.pth'] = send_file
    assert download('http://nowhere.invalid/swin.pth').read_bytes() == content
    assert server.requests[0].path == 'http://nowhere.invalid/swin.pth'


def cut(handler):
    """A truncated answer without a length."""
    handler.send(handler.server.content[:-100])


@pytest.mark.parametrize('is_zip', [True, False])
def test_truncated_answer_without_length_is_not_kept(is_zip, server, tmp_path):
    torch.save(dict(a=torch.ones(1000)), tmp_path / 'a.pth', _use_new_zipfile_serialization=is_zip)
    server.content = (tmp_path / 'a.pth').read_bytes()
    server.answers['/a.pth'] = cut
    with pytest.raises(ValueError, match='cannot be read as a checkpoint'):
        read_checkpoint(f'{server.url}/a.pth')
    assert not list(Path(torch.hub.get_dir()).rglob('*a.pth'))
    del server.answers['/a.pth']
    assert read_checkpoint(f'{server.url}/a.pth')['a'].sum() == 1000
