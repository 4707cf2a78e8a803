"""Hashes in URLs and arguments: spelling and verification."""

import hashlib
import re
import threading

import pytest
import torch

from mmgab.checkpoints import read_checkpoint
from mmgab.downloads.download import check_digest, check_hash, download, split_hash

from .cached_files import names, sha256


@pytest.mark.parametrize('digits', ['01234567', '0123abcd' * 8, '0123ABCD', 'abcdef01234'])
@pytest.mark.parametrize('key', ['sha256=', 'SHA256=', 'Sha256:', 'sha256:', 'sha256-', 'sHA256-'])
def test_hash_in_url_is_read_in_any_spelling(key, digits):
    url = 'https://host/a.pth?b=c'
    assert split_hash(f'{url}#{key}{digits}') == (url, digits.lower())
    assert split_hash(url) == (url, None)


@pytest.mark.parametrize(
    'fragment',
    [
        '', 'sha256', 'sha256=', 'sha256=0123456', 'sha256=' + '0' * 65, 'sha256=0123456g',
        'sha265=01234567', 'md5=01234567', 'sha256==01234567', 'sha256=01234567 ',
        'sha256=01234567\n', 'sha256=01234567#', 'x&sha256=01234567', 'sha256%3D01234567',
        '\u017fha256=01234567', 'sha256=0123456\u0967', '01234567', 'sha256-vmg5q0hUPC0=',
    ],
)  # fmt: skip
def test_other_url_fragment_raises(fragment):
    with pytest.raises(ValueError, match=r'is followed by .*; only #sha256=DIGITS') as caught:
        split_hash(f'https://host/a.pth#{fragment}')
    assert repr(f'#{fragment}') in str(caught.value)


def test_hash_in_url_is_never_ignored(server):
    with pytest.raises(ValueError, match='has a fragment; remove it with split_hash'):
        download(f'{server.url}/swin.pth#SHA256=00000000')
    assert not server.requests


@pytest.mark.parametrize('wanted', ['', 'abc', '0123456', '0' * 65, '0123456g', ' 01234567', 1234])
def test_invalid_hash_raises_before_any_request(wanted, server, hub, tmp_path):
    with pytest.raises(
        ValueError, match=r'8 to 64 hexadecimal digits; got ' + re.escape(repr(wanted))
    ):
        download(f'{server.url}/swin.pth', wanted)
    assert not server.requests
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(ValueError, match='8 to 64 hexadecimal digits'):
        check_hash(tmp_path / 'file', 'file', wanted)


def test_digest_comparison_ignores_case(tmp_path):
    check_digest('ab' * 32, 'x', tmp_path, 'ABABABAB')
    check_digest('AB' * 32, 'x', tmp_path, 'ab' * 32)
    with pytest.raises(ValueError, match=f'its sha256 is {"ab" * 32}, wanted ababababac') as caught:
        check_digest('ab' * 32, 'x', tmp_path / 'name.pth', 'ababababac')
    assert 'name.pth' in str(caught.value)


def test_download_with_wrong_hash_is_not_kept(server, hub, content):
    url, found, wanted = f'{server.url}/swin.pth', sha256(content), '0' * 64
    for source, arguments in ((url, dict(sha256=wanted)), (f'{url}#sha256={wanted}', {})):
        with pytest.raises(ValueError, match=f'its sha256 is {found}, wanted {wanted}'):
            read_checkpoint(source, **arguments)
        assert names(hub) == []
    with pytest.raises(ValueError, match='has two hashes'):
        read_checkpoint(f'{url}#sha256={found}', sha256=wanted)


def test_hash_is_compared_before_check(server):
    def check(path):
        raise AssertionError('it was called')

    with pytest.raises(ValueError, match='its sha256 is'):
        download(f'{server.url}/swin.pth', '0' * 8, check)


@pytest.mark.parametrize('key', ['#sha256=', '#SHA256=', '#Sha256:', '#sha256-'])
def test_hash_in_url_is_compared_in_any_spelling(key, server):
    digits = hashlib.sha256(server.content).hexdigest()
    read_checkpoint(f'{server.url}/a.pth{key}{digits.upper()}')
    with pytest.raises(ValueError, match='has the wrong hash'):
        read_checkpoint(f'{server.url}/b.pth{key}{digits[::-1]}')
    with pytest.raises(ValueError, match='only #sha256=DIGITS may follow'):
        read_checkpoint(f'{server.url}/a.pth{key}')


def test_hashed_content_is_the_content_read(tmp_path):
    """A file that is exchanged again and again while it is read with the hash of one of the two."""
    path, contents = tmp_path / 'a.pth', []
    for value in (1.0, 2.0):
        torch.save(dict(a=torch.full((10_000,), value)), path)
        contents.append(path.read_bytes())
    wanted, is_over = hashlib.sha256(contents[0]).hexdigest(), threading.Event()

    def exchange():
        while not is_over.is_set():
            for content in contents:
                path.with_name('next').write_bytes(content)
                path.with_name('next').replace(path)

    thread = threading.Thread(target=exchange)
    thread.start()
    outcomes = set()
    try:
        for _ in range(200):
            try:
                outcomes.add(float(read_checkpoint(path, sha256=wanted)['a'].mean()))
            except ValueError as error:
                is_named = 'has the wrong hash' in str(error)
                outcomes.add('refused' if is_named else str(error))
    finally:
        is_over.set()
        thread.join()
    assert outcomes == {1.0, 'refused'}
