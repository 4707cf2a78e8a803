"""Downloads from real servers on this machine, which misbehave in every way that was thought of."""

import base64
import hashlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
import torch

from mmgab.checkpoints import http_connection, http_transfer, read_checkpoint
from mmgab.checkpoints.download import check_digest, check_hash, download, file_sha256, split_hash

from .servers import (
    ANSWERS,
    ENDLESS,
    SILENT,
    SLOW,
    redirects,
    send_file,
    sends,
    serving,
)

IMPORTS = """
import resource
import sys
import torch
from mmgab.checkpoints.download import download
torch.hub.set_dir(sys.argv[1])
"""
DOWNLOAD = IMPORTS + 'download(sys.argv[2])'
FULL_DISK = (
    IMPORTS + 'resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\ndownload(sys.argv[2])'
)


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


def names(folder):
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def is_here(digest):
    """A structural check that knows one file."""

    def check(path):
        if file_sha256(path) != digest:
            raise ValueError(f'{path.name} is damaged')

    return check


def test_a_url_is_downloaded_once_with_one_request(server, hub, content):
    for _ in range(2):
        path = download(f'{server.url}/swin.pth')
        assert path.read_bytes() == content
        assert names(hub) == [path.name]
    assert len(server.requests) == 1
    assert server.requests[0].headers['Accept-Encoding'] == 'identity'


def test_a_checkpoint_behind_a_url_is_read(server, content):
    url = f'{server.url}/swin.pth'
    assert len(read_checkpoint(url)['state_dict']['weight']) == 5000
    for digits in (sha256(content)[:8], sha256(content), sha256(content).upper()):
        read_checkpoint(url, sha256=digits)
        read_checkpoint(f'{url}#sha256={digits}')


def test_two_urls_never_share_a_file(server, content):
    for folder in 'ab':
        answer = content + folder.encode()
        server.answers[f'/{folder}/x.pth'] = lambda handler, answer=answer: handler.send(answer)
    for folder in 'ab':
        path = download(f'{server.url}/{folder}/x.pth')
        assert path.read_bytes() == content + folder.encode()
    assert download(f'{server.url}/x.pth?v=1') != download(f'{server.url}/x.pth?v=2')


def test_a_file_that_version_0_1_0_downloaded_is_found(hub):
    hub.mkdir(parents=True)
    path = hub / '85b63cc16873-swin.pth'  # of sha256sum
    path.write_bytes(b'old')
    assert download('http://127.0.0.1:9/swin.pth') == path


# Hashes


@pytest.mark.parametrize('digits', ['01234567', '0123abcd' * 8, '0123ABCD', 'abcdef01234'])
@pytest.mark.parametrize('key', ['sha256=', 'SHA256=', 'Sha256:', 'sha256:', 'sha256-', 'sHA256-'])
def test_a_hash_in_a_url_is_read_in_any_spelling(key, digits):
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
def test_another_fragment_is_an_error_that_names_it(fragment):
    with pytest.raises(ValueError, match=r'is followed by .*; only #sha256=DIGITS') as caught:
        split_hash(f'https://host/a.pth#{fragment}')
    assert repr(f'#{fragment}') in str(caught.value)


def test_a_hash_in_a_url_is_never_ignored(server):
    with pytest.raises(ValueError, match='has a fragment; split_hash takes it off'):
        download(f'{server.url}/swin.pth#SHA256=00000000')
    assert not server.requests


@pytest.mark.parametrize('wanted', ['', 'abc', '0123456', '0' * 65, '0123456g', ' 01234567', 1234])
def test_a_hash_that_is_none_is_an_error_before_anything_is_sent(wanted, server, hub, tmp_path):
    with pytest.raises(ValueError, match=r'8 digits at least.* got ' + re.escape(repr(wanted))):
        download(f'{server.url}/swin.pth', wanted)
    assert not server.requests
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(ValueError, match='8 digits at least'):
        check_hash(tmp_path / 'file', 'file', wanted)


def test_a_digest_is_compared_in_any_case(tmp_path):
    check_digest('ab' * 32, 'x', tmp_path, 'ABABABAB')
    check_digest('AB' * 32, 'x', tmp_path, 'ab' * 32)
    with pytest.raises(ValueError, match=f'its sha256 is {"ab" * 32}, wanted ababababac') as caught:
        check_digest('ab' * 32, 'x', tmp_path / 'name.pth', 'ababababac')
    assert 'name.pth' in str(caught.value)


def test_a_download_with_another_hash_is_not_kept(server, hub, content):
    url, found, wanted = f'{server.url}/swin.pth', sha256(content), '0' * 64
    for source, arguments in ((url, dict(sha256=wanted)), (f'{url}#sha256={wanted}', {})):
        with pytest.raises(ValueError, match=f'its sha256 is {found}, wanted {wanted}'):
            read_checkpoint(source, **arguments)
        assert names(hub) == []
    with pytest.raises(ValueError, match='is given two hashes'):
        read_checkpoint(f'{url}#sha256={found}', sha256=wanted)


def test_the_hash_is_compared_before_the_check(server):
    def check(path):
        raise AssertionError('it was called')

    with pytest.raises(ValueError, match='its sha256 is'):
        download(f'{server.url}/swin.pth', '0' * 8, check)


def test_the_check_sees_the_complete_file_before_it_is_kept(server, hub, content):
    seen = []

    def check(path):
        seen.append((path.read_bytes(), path.suffix, path in hub.iterdir(), len(names(hub))))

    path = download(f'{server.url}/swin.pth', check=check)
    assert seen == [(content, '.pth', True, 1)]
    assert names(hub) == [path.name]


def test_a_download_that_the_check_refuses_is_not_kept(server, hub):
    with pytest.raises(ValueError, match='is damaged'):
        download(f'{server.url}/swin.pth', check=is_here('another'))
    assert names(hub) == []


def test_a_cached_file_with_another_hash_is_replaced_by_the_right_one_only(server, hub, content):
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


def test_a_cached_file_that_is_damaged_is_replaced(server, hub, content):
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


# Servers that misbehave


@pytest.mark.parametrize('case', ANSWERS)
def test_an_answer_that_is_no_file_is_named_and_not_kept(case, server, hub, content):
    url = f'{server.url}/swin.pth'
    server.answers['/swin.pth'], reason = ANSWERS[case]
    with pytest.raises(ConnectionError, match=rf'swin\.pth cannot be downloaded: .*{reason}') as e:
        download(url)
    assert str(e.value).isprintable()
    assert names(hub) == []
    server.answers.clear()
    assert download(url).read_bytes() == content


@pytest.mark.parametrize('answer', SILENT)
def test_a_silent_server_ends_in_an_error(answer, server, hub, monkeypatch):
    monkeypatch.setattr(http_connection, 'TIMEOUT', 0.3)
    server.answers['/swin.pth'] = answer
    with pytest.raises(ConnectionError, match=r'sent nothing for 0\.3 s'):
        download(f'{server.url}/swin.pth')
    assert names(hub) == []


@pytest.mark.parametrize('answer', SLOW)
def test_a_server_that_drips_ends_in_an_error(answer, server, hub, monkeypatch):
    monkeypatch.setattr(http_connection, 'RATE_WINDOW', 0.3)
    monkeypatch.setattr(http_connection, 'MIN_RATE', 10**6)
    server.answers['/swin.pth'] = answer
    with pytest.raises(ConnectionError, match=r'sent \d+ bytes in 0\.\d s; 1000000 a second is'):
        download(f'{server.url}/swin.pth')
    assert names(hub) == []


@pytest.mark.process
def test_the_limits_are_those_of_https_too(certificate, content, monkeypatch):
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
def test_an_endless_answer_ends_in_an_error(answer, server, hub, monkeypatch):
    monkeypatch.setattr(http_connection, 'MAX_BYTES', 3 * 10**6)
    server.answers['/swin.pth'] = answer
    with pytest.raises(ConnectionError, match=r'more than 0\.0 GB came, which is the limit'):
        download(f'{server.url}/swin.pth')
    assert names(hub) == []


def test_the_end_of_a_redirect_is_not_waited_for(server, content):
    server.answers['/old'] = redirects('/swin.pth', bytes(1 << 16))
    assert download(f'{server.url}/old').read_bytes() == content


def test_a_length_that_is_too_small_is_left_to_the_check(server, hub, content):
    """HTTP ends the answer there: only what is in the file can tell."""
    server.answers['/swin.pth'] = sends(content, Content_Length=1000)
    with pytest.raises(ValueError, match='is damaged'):
        download(f'{server.url}/swin.pth', check=is_here(sha256(content)))
    with pytest.raises(ValueError, match='its sha256 is'):
        download(f'{server.url}/swin.pth', sha256(content))
    assert names(hub) == []


def test_answers_of_unknown_length_are_read(server, content):
    chunks = b''.join(b'%x\r\n%b\r\n' % (len(c), c) for c in (content[:9], content[9:], b''))
    server.answers['/closed.pth'] = sends(content)
    server.answers['/nonsense.pth'] = sends(content, Content_Length='many')
    server.answers['/chunked.pth'] = sends(chunks, Transfer_Encoding='chunked')
    for name in server.answers:
        assert download(server.url + name).read_bytes() == content


def test_a_file_that_has_no_room_is_refused_before_it_comes(server, hub, monkeypatch):
    monkeypatch.setattr(http_connection, 'MAX_BYTES', 2**62)
    server.answers['/swin.pth'] = sends(b'\0', Content_Length=2**61)
    with pytest.raises(OSError, match=r'but .*checkpoints has room for .* GB: make room') as caught:
        download(f'{server.url}/swin.pth')
    assert not isinstance(caught.value, ConnectionError)
    assert names(hub) == []


@pytest.mark.process
def test_a_disk_that_is_full_is_named(server, hub):
    """In a process that may write 1000 bytes."""
    done = run_download(FULL_DISK, hub, f'{server.url}/swin.pth')
    _, error = done.communicate(timeout=60)
    assert re.search(r'OSError: .*File too large.*hub/checkpoints', error), error
    assert names(hub) == []


def test_a_server_that_cannot_be_reached_is_named():
    # Port 9 of this machine, where nothing listens: refused at once.
    for url in ('http://127.0.0.1:9/swin.pth', 'http://a..b/swin.pth', 'http://%0d%0a/swin.pth'):
        with pytest.raises(ConnectionError, match=r'swin\.pth cannot be downloaded'):
            download(url)


@pytest.mark.parametrize(
    'url', ['file:///etc/passwd', 'ftp://127.0.0.1/a', 'http:///a', 'http://[::1/a', '/etc/passwd']
)
def test_a_url_that_is_not_http_is_refused(url, hub):
    with pytest.raises(ValueError, match=r"the URL of '.+' has an invalid scheme, host or port"):
        download(url)
    with pytest.raises(ValueError, match='names no file'):
        download('http://127.0.0.1:9/folder/?file=a.pth')


def test_a_proxy_is_used(server, content, monkeypatch):
    monkeypatch.setenv('http_proxy', server.url)
    server.answers['/swin.pth'] = send_file
    assert download('http://nowhere.invalid/swin.pth').read_bytes() == content
    assert server.requests[0].path == 'http://nowhere.invalid/swin.pth'


# What must not be told


@pytest.mark.parametrize('case', ANSWERS)
def test_credentials_are_neither_printed_nor_kept(case, server, hub, capfd, monkeypatch):
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


def test_secrets_are_in_no_error_of_a_url_or_hash(server, hub, content):
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


def test_secrets_that_a_server_repeats_are_not_printed(server):
    page = b'<title>No /swin.pth?token=t0ken at http://me:s3cret@host/</title>'
    server.answers['/swin.pth'] = sends(page)
    with pytest.raises(ConnectionError, match=r'"No /swin\.pth\?\.\.\. at http://host/"'):
        download(f'{server.url}/swin.pth?token=t0ken')


def test_credentials_are_not_sent_where_a_server_redirects_to(server, content):
    with serving(content) as other:
        server.answers['/swin.pth'] = redirects(f'{other.url}/swin.pth')
        place = server.url.removeprefix('http://')
        assert download(f'http://me:s3cret@{place}/swin.pth').read_bytes() == content
        assert server.requests[0].headers['Authorization']
        assert 'Authorization' not in other.requests[0].headers


@pytest.mark.process
def test_https_is_redirected_to_https_only(certificate, server, hub, content):
    with serving(content, certificate) as secure:
        secure.answers['/there.pth'] = redirects(f'{secure.url}/swin.pth')
        secure.answers['/away.pth'] = redirects(f'{server.url}/swin.pth')
        assert download(f'{secure.url}/there.pth').read_bytes() == content
        with pytest.raises(ConnectionError, match='redirects from https to http, which is refused'):
            download(f'{secure.url}/away.pth')
    assert not server.requests
    server.answers['/up.pth'] = redirects(f'{secure.url}/swin.pth')
    with pytest.raises(ConnectionError, match='refused'):  # by the server, which is closed
        download(f'{server.url}/up.pth')


@pytest.mark.process
def test_a_certificate_that_is_not_trusted_is_named(certificate, content, monkeypatch):
    monkeypatch.delenv('SSL_CERT_FILE')
    with serving(content, certificate) as secure, pytest.raises(ConnectionError, match='CERTIF'):
        download(f'{secure.url}/swin.pth')


# Names


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
def test_names_of_files_are_harmless_and_keep_their_suffix(name, end, server, hub, content):
    path = download(f'{server.url}/{name}')
    assert path.read_bytes() == content
    assert path.parent == hub
    assert path.name.endswith(end)
    assert path.name.isascii()
    assert path.name.isprintable()
    assert len(path.name) <= 255


# Several processes


def run_download(program, hub, url):
    return subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', program, hub.parent, url],
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def meeting(server):
    """The server stops in the middle of a file, until two clients are there; or for ever."""
    is_half_sent, both = threading.Event(), threading.Barrier(2)

    def stop_in_the_middle(handler):
        content = handler.server.content
        handler.send(content[:5000], Content_Length=len(content))
        is_half_sent.set()
        both.wait(timeout=60)
        handler.wfile.write(content[5000:])

    server.answers['/swin.pth'] = stop_in_the_middle
    yield is_half_sent
    both.abort()


@pytest.mark.process
def test_a_killed_download_leaves_nothing_behind_the_next_one(meeting, server, hub, content):
    client = run_download(DOWNLOAD, hub, f'{server.url}/swin.pth')
    assert meeting.wait(timeout=60)
    client.kill()
    client.communicate()
    assert client.returncode == -signal.SIGKILL
    assert len(names(hub)) == 1  # what it leaves
    server.answers.clear()
    path = download(f'{server.url}/another.pth')
    assert path.read_bytes() == content
    assert names(hub) == [path.name]


@pytest.mark.process
def test_two_processes_that_download_at_once_have_the_complete_file(meeting, server, hub, content):
    url = f'{server.url}/swin.pth'
    client = run_download(DOWNLOAD, hub, url)
    assert meeting.wait(timeout=60)
    path = download(url)
    _, error = client.communicate(timeout=60)
    assert client.returncode == 0, error
    assert path.read_bytes() == content
    assert names(hub) == [path.name]
    assert len(server.requests) == 2


def test_a_process_that_is_not_the_first_downloads_nothing(server, hub, content, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '1')
    url = f'{server.url}/swin.pth'
    with pytest.raises(ConnectionError, match='could not be downloaded by the first process'):
        download(url)
    monkeypatch.setenv('LOCAL_RANK', '0')
    path = download(url)
    monkeypatch.setenv('LOCAL_RANK', '1')
    assert download(url, sha256(content)) == path
    with pytest.raises(ValueError, match=r'its sha256 is .* wanted 00000000'):
        download(url, '00000000')
    assert len(server.requests) == 1


ALL_READ = """
import sys
from pathlib import Path
import torch
from mmgab.checkpoints import read_checkpoint
torch.distributed.init_process_group('gloo')
torch.hub.set_dir('hub')
try:
    result = f"tensors: {len(read_checkpoint(sys.argv[1])['state_dict'])}"
except ConnectionError as error:
    result = f'refused: {error}'
Path(f'rank{torch.distributed.get_rank()}.txt').write_text(result)
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


@pytest.mark.process
@pytest.mark.parametrize(('name', 'word'), [('swin.pth', 'tensors: '), ('none.pth', 'refused: ')])
def test_all_processes_of_a_run_get_the_download_or_the_error(name, word, server, tmp_path):
    server.answers['/none.pth'] = sends(b'', 404)
    (tmp_path / 'all.py').write_text(ALL_READ)
    torchrun = (sys.executable, '-m', 'torch.distributed.run', '--standalone')
    done = subprocess.run(
        [*torchrun, '--nproc-per-node=2', 'all.py', f'{server.url}/{name}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for rank in range(2):
        assert (tmp_path / f'rank{rank}.txt').read_text().startswith(word)
    assert len(server.requests) == 1


# What a user sees


def test_progress_is_shown_of_slow_downloads_only(server, capfd, monkeypatch):
    download(f'{server.url}/quick.pth')
    assert capfd.readouterr() == ('', '')
    monkeypatch.setattr(http_transfer, 'SILENT_SECONDS', 0)
    download(f'{server.url}/slow.pth')
    output, progress = capfd.readouterr()
    assert output == ''
    assert re.search(r'slow\.pth: 100%.*B/s', progress)


class Touches:
    """Unpickles to a file that is made."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_behind_a_url_does_not_run(server, tmp_path):
    torch.save(dict(meta=Touches(tmp_path / 'victim')), tmp_path / 'evil.pth')
    server.content = (tmp_path / 'evil.pth').read_bytes()
    with pytest.raises(ValueError, match=r'evil\.pth .* is refused'):
        read_checkpoint(f'{server.url}/evil.pth')
    assert not (tmp_path / 'victim').exists()


def cut(handler):
    """An answer without a length, of which the end does not come."""
    handler.send(handler.server.content[:-100])


@pytest.mark.parametrize('is_zip', [True, False])
def test_an_answer_that_is_cut_without_a_length_is_not_kept(is_zip, server, tmp_path):
    torch.save(dict(a=torch.ones(1000)), tmp_path / 'a.pth', _use_new_zipfile_serialization=is_zip)
    server.content = (tmp_path / 'a.pth').read_bytes()
    server.answers['/a.pth'] = cut
    with pytest.raises(ValueError, match='cannot be read as a checkpoint'):
        read_checkpoint(f'{server.url}/a.pth')
    assert not list(Path(torch.hub.get_dir()).rglob('*a.pth'))
    del server.answers['/a.pth']
    assert read_checkpoint(f'{server.url}/a.pth')['a'].sum() == 1000


@pytest.mark.parametrize('key', ['#sha256=', '#SHA256=', '#Sha256:', '#sha256-'])
def test_a_hash_behind_a_url_is_compared_in_any_spelling(key, server):
    digits = hashlib.sha256(server.content).hexdigest()
    read_checkpoint(f'{server.url}/a.pth{key}{digits.upper()}')
    with pytest.raises(ValueError, match='is not the one that was asked for'):
        read_checkpoint(f'{server.url}/b.pth{key}{digits[::-1]}')
    with pytest.raises(ValueError, match='only #sha256=DIGITS may follow'):
        read_checkpoint(f'{server.url}/a.pth{key}')


def test_what_was_hashed_is_what_is_read(tmp_path):
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
                is_named = 'is not the file that was asked for' in str(error)
                outcomes.add('refused' if is_named else str(error))
    finally:
        is_over.set()
        thread.join()
    assert outcomes == {1.0, 'refused'}
