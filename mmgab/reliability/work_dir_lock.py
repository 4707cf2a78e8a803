"""A lock on a work dir, so that two runs do not train into it at the same time."""

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

LOCK = '.training.lock'  # stays in the folder: two processes could lock a name that is deleted
_LONGEST = 1000  # bytes of it that are read


class WorkDirInUseError(RuntimeError):
    """Another run trains into the work dir; the message says which, and what to do."""


@contextmanager
def work_dir_lock(work_dir: str, force: bool = False) -> Iterator[None]:
    """Lock a work dir while the block runs; the first process of a run does.

    The kernel keeps the lock and gives it back when its process ends, however that ends. It is a
    POSIX record lock, which children do not inherit: a data loader's worker that outlives a killed
    run does not hold it. It excludes other processes, not other threads.

    Machines that share the folder see it on NFS, CephFS and GPFS, and on Lustre that is mounted
    with ``flock``. They do not on NFS mounted with ``nolock`` or ``local_lock``, Lustre mounted
    with ``localflock``, sshfs, and BeeGFS with its default settings; each machine then excludes
    its own runs only. A file system without locks is reported, and the run continues.

    Args:
        work_dir: The folder, which must be there.
        force: Go on with a warning where another run holds the lock.

    Raises:
        WorkDirInUseError: If another run holds it; nothing in the folder has changed.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(Path(work_dir, LOCK), 'ab+', opener=_open_no_link))
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_holder(file.fileno())
        except BlockingIOError:
            problem = f'work dir {work_dir}: {_holder(file.fileno())} is training in it'
            if not force:
                raise WorkDirInUseError(
                    f'{problem}; wait for it or end it, choose another --work-dir, or train in '
                    'this one anyway with --force'
                ) from None
            print(f'{problem}; this run trains there too because of --force', file=sys.stderr)
        except OSError as error:
            print(
                f'work dir {work_dir} cannot be locked ({error.strerror or error}): a second run '
                'in the same work dir would not be detected',
                file=sys.stderr,
            )
        yield


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _write_holder(handle: int) -> None:
    since = datetime.now().astimezone().isoformat(' ', 'seconds')
    holder = dict(pid=os.getpid(), host=socket.gethostname(), since=since)
    with suppress(OSError):  # on a full disk the lock is held anyway
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(holder).encode())


def _holder(handle: int) -> str:
    """Describe the process that holds the lock, as recorded in the file."""
    try:
        holder = json.loads(os.pread(handle, _LONGEST, 0))
        return f'process {holder["pid"]} on {holder["host"]} (since {holder["since"]})'
    except (OSError, ValueError, LookupError, TypeError):
        return 'another process'
