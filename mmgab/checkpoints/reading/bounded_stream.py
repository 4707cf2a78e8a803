"""A stream whose reads are bounded by the length of its file."""

import io
import os
from typing import BinaryIO, cast


class BoundedStream:
    """A file that is never read beyond its end, whatever length a damaged field gives."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.readline, self.tell = file.readline, file.tell
        self._length = file.seek(0, os.SEEK_END)
        file.seek(0)

    def rest(self) -> int:
        """Return the number of unread bytes."""
        return self._length - self._file.tell()

    def read(self, size: int) -> bytes:
        """Read that many bytes, or the rest."""
        return self._file.read(min(size, self.rest()))

    def skip(self, size: int) -> None:
        """Skip that many bytes.

        Raises:
            EOFError: If the file ends before.
        """
        if size > self.rest():
            raise EOFError('it ends inside a storage')
        self._file.seek(size, os.SEEK_CUR)

    def read_into(self, view: memoryview) -> None:
        """Fill a buffer.

        Raises:
            EOFError: If the file ends before it is full.
        """
        # A file that is opened for bytes has readinto, which typing's BinaryIO does not declare.
        if cast(io.BufferedIOBase, self._file).readinto(view) != len(view):
            raise EOFError('it ends inside a storage')
