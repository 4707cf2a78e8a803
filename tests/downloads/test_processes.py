"""Downloads of several processes, and of one that is killed or has no room."""

import re
import signal
import subprocess
import sys
import threading

import pytest

from mmgab.downloads.download import download

from .cached_files import names, sha256
from .servers import sends

IMPORTS = """
import resource
import sys
import torch
from mmgab.downloads.download import download
torch.hub.set_dir(sys.argv[1])
"""
DOWNLOAD = IMPORTS + 'download(sys.argv[2])'
FULL_DISK = (
    IMPORTS + 'resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\ndownload(sys.argv[2])'
)


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
def test_next_download_removes_files_of_killed_download(meeting, server, hub, content):
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
def test_concurrent_downloads_give_complete_file(meeting, server, hub, content):
    url = f'{server.url}/swin.pth'
    client = run_download(DOWNLOAD, hub, url)
    assert meeting.wait(timeout=60)
    path = download(url)
    _, error = client.communicate(timeout=60)
    assert client.returncode == 0, error
    assert path.read_bytes() == content
    assert names(hub) == [path.name]
    assert len(server.requests) == 2


def test_only_first_process_downloads(server, hub, content, monkeypatch):
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
def test_all_ranks_get_download_or_error(name, word, server, tmp_path):
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


@pytest.mark.process
def test_full_disk_error_has_path(server, hub):
    """In a process that may write 1000 bytes."""
    done = run_download(FULL_DISK, hub, f'{server.url}/swin.pth')
    _, error = done.communicate(timeout=60)
    assert re.search(r'OSError: .*File too large.*hub/checkpoints', error), error
    assert names(hub) == []
