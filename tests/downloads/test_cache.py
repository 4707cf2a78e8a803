"""Downloads are checked and cached under safe names."""

import re

import pytest

from mmgab.checkpoints import read_checkpoint
from mmgab.downloads import http_transfer
from mmgab.downloads.download import download

from .cached_files import is_here, names, sha256
from .servers import sends


def test_url_is_downloaded_once_with_one_request(server, hub, content):
    for _ in range(2):
        path = download(f'{server.url}/swin.pth')
        assert path.read_bytes() == content
        assert names(hub) == [path.name]
    assert len(server.requests) == 1
    assert server.requests[0].headers['Accept-Encoding'] == 'identity'


def test_checkpoint_is_read_from_url(server, content):
    url = f'{server.url}/swin.pth'
    assert len(read_checkpoint(url)['state_dict']['weight']) == 5000
    for digits in (sha256(content)[:8], sha256(content), sha256(content).upper()):
        read_checkpoint(url, sha256=digits)
        read_checkpoint(f'{url}#sha256={digits}')


def test_different_urls_have_different_cache_files(server, content):
    for folder in 'ab':
        answer = content + folder.encode()
        server.answers[f'/{folder}/x.pth'] = lambda handler, answer=answer: handler.send(answer)
    for folder in 'ab':
        path = download(f'{server.url}/{folder}/x.pth')
        assert path.read_bytes() == content + folder.encode()
    assert download(f'{server.url}/x.pth?v=1') != download(f'{server.url}/x.pth?v=2')


def test_cache_file_of_version_0_1_0_is_found(hub):
    hub.mkdir(parents=True)
    path = hub / '85b63cc16873-swin.pth'  # of sha256sum
    path.write_bytes(b'old')
    assert download('http://127.0.0.1:9/swin.pth') == path


def test_check_runs_on_complete_file_before_caching(server, hub, content):
    seen = []

    def check(path):
        seen.append((path.read_bytes(), path.suffix, path in hub.iterdir(), len(names(hub))))

    path = download(f'{server.url}/swin.pth', check=check)
    assert seen == [(content, '.pth', True, 1)]
    assert names(hub) == [path.name]


def test_download_rejected_by_check_is_not_kept(server, hub):
    with pytest.raises(ValueError, match='is damaged'):
        download(f'{server.url}/swin.pth', check=is_here('another'))
    assert names(hub) == []


def test_cached_file_with_wrong_hash_is_replaced_only_by_right_one(server, hub, content):
    url = f'{server.url}/swin.pth'
    path = download(url)
    path.write_bytes(b'damaged')
    with pytest.raises(ValueError, match='wanted 00000000'):
        download(url, '00000000')
    assert path.read_bytes() == b'damaged'
    with pytest.raises(ValueError, match='is damaged'):
        download(url, sha256(content), is_here('another'))
    assert path.read_bytes() == b'damaged'
    assert download(url, sha256(content)[:10]) == path
    assert path.read_bytes() == content
    sent = len(server.requests)
    download(url, sha256(content))
    assert (len(server.requests), names(hub)) == (sent, [path.name])


def test_damaged_cached_file_is_replaced(server, hub, content):
    url, check = f'{server.url}/swin.pth', is_here(sha256(content))
    path = download(url, check=check)
    path.write_bytes(b'damaged')
    server.answers['/swin.pth'] = sends(b'', 404)
    with pytest.raises(ConnectionError, match='404'):
        download(url, check=check)
    assert path.read_bytes() == b'damaged'
    server.answers.clear()
    assert download(url, check=check) == path
    assert path.read_bytes() == content
    assert download(url, check=check) == path
    assert (len(server.requests), names(hub)) == (3, [path.name])


@pytest.mark.parametrize(
    ('name', 'end'),
    [
        ('..', '-..'),
        ('model', '-model'),
        ('%2e%2e%2fpasswd.pth', '-%2e%2e%2fpasswd.pth'),
        ('a b\n\x1b.pth', '-a%20b%0A%1B.pth'),
        ('m\u00fcll.bin', '-m%C3%BCll.bin'),
        ('a' * 400 + '.safetensors', 'a' * 100 + '.safetensors'),
        ('a.' + 'b' * 400, 'b' * 100),
        ('\u00fc' * 200 + '.pth', '%C3%BC.pth'),
    ],
)
def test_cache_file_names_are_safe_and_keep_suffix(name, end, server, hub, content):
    path = download(f'{server.url}/{name}')
    assert path.read_bytes() == content
    assert path.parent == hub
    assert path.name.endswith(end)
    assert path.name.isascii()
    assert path.name.isprintable()
    assert len(path.name) <= 255


def test_progress_is_shown_only_for_slow_downloads(server, capfd, monkeypatch):
    download(f'{server.url}/quick.pth')
    assert capfd.readouterr() == ('', '')
    monkeypatch.setattr(http_transfer, 'SILENT_SECONDS', 0)
    download(f'{server.url}/slow.pth')
    output, progress = capfd.readouterr()
    assert output == ''
    assert re.search(r'slow\.pth: 100%.*B/s', progress)
