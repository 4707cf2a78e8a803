"""Read a file in a process of its own, with bounded time and memory, and note what it does."""

import contextlib
import multiprocessing
import os
import resource
import sys
import tempfile
import traceback
from pathlib import Path

import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmgab.checkpoints import read_checkpoint

SECONDS = 20
BYTES = 2 << 30  # beside what the process has when it begins
# Whatever runs code, starts something, changes files or talks to others raises one of these.
FORBIDDEN = (
    'exec', 'compile', 'import', 'os.', 'subprocess.', 'socket.', 'shutil.', 'ctypes.', 'pty.',
    'tempfile.', 'urllib.', 'webbrowser.', 'marshal.', 'code.', 'pickle.find_class', 'pathlib.',
)  # fmt: skip
ALLOWED = ('os.listdir', 'os.scandir')

_server = multiprocessing.get_context('forkserver')
_server.set_forkserver_preload([__name__])
DOORS = {
    'our reader': read_checkpoint,
    'our reader, without values': lambda path: read_checkpoint(path, 'meta'),
    "MMEngine's loader": lambda path: CheckpointLoader.load_checkpoint(path, 'cpu', logger=None),
}


class Watch:
    """An audit hook, which cannot be taken away again: the process is for one file."""

    def __init__(self):
        self.events = []
        self.is_on = False
        sys.addaudithook(self._note)

    def _note(self, event, arguments):
        if not self.is_on:
            return
        is_write = event == 'open' and isinstance(arguments[2], int) and arguments[2] & 0o1103
        if is_write or (event.startswith(FORBIDDEN) and event not in ALLOWED):
            self.events.append(f'{event} {arguments!r:.200}')


def _read(path, door, warm, connection):
    """The child: reads a sound file first, so that what is imported late is there already."""
    os.chdir(Path(path).parent)
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        for sound in warm:
            with contextlib.suppress(ValueError):
                DOORS[door](sound)
    used = int(Path('/proc/self/statm').read_text().split()[0]) * os.sysconf('SC_PAGE_SIZE')
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    torch.set_num_threads(1)
    watch = Watch()
    watch.is_on = True
    try:
        DOORS[door](path)
        outcome = 'loaded'
    except ValueError as error:
        outcome = f'refused: {error}'
    except BaseException:
        outcome = f'raised {traceback.format_exc()[-1500:]}'
    watch.is_on = False
    connection.send((outcome, watch.events))


def read_alone(path, door='our reader', warm=()):
    """Read a file in another process.

    Returns how it ended (``'refused: ...'``, ``'loaded'``, or something that must not be), and what
    it did that reading does not need.
    """
    ours, theirs = _server.Pipe(duplex=False)
    process = _server.Process(target=_read, args=(str(path), door, warm, theirs))
    process.start()
    theirs.close()
    try:
        result = ours.recv() if ours.poll(SECONDS * 2) else ('hangs', [])
    except EOFError:
        result = None
    process.join(5)
    if process.is_alive():
        process.kill()
    return result or (f'crashed with {process.exitcode}', [])


def files_of(content, folder=None):
    """Write a file where nothing else is; returns its path."""
    folder = Path(folder or tempfile.mkdtemp())
    path = folder / 'evil.pth'
    path.write_bytes(content)
    return path
