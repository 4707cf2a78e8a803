"""Atomic file writes: write to a temporary file, then rename it."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL = '.partial_'  # names of files that are still being written begin with it
# Of network disks that cannot, and folders that may be written and not read.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file that replaces ``path`` when the block ends without an error.

    Args:
        path: Where the file goes; its folder is made.

    Yields:
        The temporary file, in the same folder and with the same suffix.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path.parent, path.suffix) as temporary:
        yield temporary
        put_in_place(temporary, path)


def write_text(path: Path, text: str, errors: str = 'strict') -> None:
    """Write a text file as UTF-8 that replaces ``path``; see :func:`replacing`.

    Args:
        path: Where the file goes.
        text: Its content.
        errors: As of ``str.encode``, for surrogates: file names that are not UTF-8 have them.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding='utf-8', errors=errors)


@contextmanager
def partial_file(folder: Path, suffix: str = '') -> Iterator[Path]:
    """Give a temporary file, locked while the block runs and deleted after it.

    The lock tells :func:`remove_abandoned` of another process that its writer lives.

    Args:
        folder: Where to make it.
        suffix: What its name ends with.
    """
    handle, path = _create_locked(folder, suffix)
    try:
        yield path
    finally:
        os.close(handle)
        path.unlink(missing_ok=True)


def put_in_place(temporary: Path, path: Path) -> None:
    """Flush a file to the disk and give it its name, which replaces a file of that name.

    Args:
        temporary: A complete file.
        path: Its name from now on, in the same folder.

    Raises:
        OSError: If that fails. Where the folder cannot be flushed, the file has its name, which a
            power failure may take away.
    """
    with open(temporary, 'rb') as file:
        os.fsync(file.fileno())
    temporary.chmod(0o666 & ~_umask())  # mkstemp's files are private
    temporary.replace(path)
    _sync_folder(path.parent)


def remove_abandoned(folder: Path) -> list[Path]:
    """Delete the temporary files whose writers were killed.

    Args:
        folder: Where to look; folders below it are left alone.

    Returns:
        What was deleted. Files that a living process has locked stay.
    """
    removed = []
    for path in sorted(folder.glob(f'{PARTIAL}*')):
        if path.is_symlink() or not path.is_file():
            continue
        with suppress(OSError), open(path, 'rb') as file:
            if _lock(file.fileno()):
                path.unlink(missing_ok=True)
                removed.append(path)
    return removed


def _create_locked(folder: Path, suffix: str) -> tuple[int, Path]:
    while True:
        handle, name = tempfile.mkstemp(dir=folder, prefix=PARTIAL, suffix=suffix)
        _lock(handle)
        if os.fstat(handle).st_nlink:
            return handle, Path(name)
        os.close(handle)  # another process deleted it before it was locked


def _lock(handle: int) -> bool:
    """Lock a file for this process; False where another one has it locked."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have no locks
        return True
    return True


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power failure: a file's own sync does not write its folder.

    Raises:
        OSError: If the disk fails; not where a file system or the folder's rights do not allow it.
    """
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
