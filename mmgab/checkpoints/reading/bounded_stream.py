"""A stream that does not take a damaged length at its word."""

import io
import os
from typing import BinaryIO, cast


class BoundedStream:
    """A file that is asked for no more bytes than it has, whatever a damaged length says."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.readline, self.tell = file.readline, file.tell
        self._length = file.seek(0, os.SEEK_END)
        file.seek(0)

    def rest(self) -> int:
        """Number of bytes that were not read yet."""
        return self._length - self._file.tell()

    def read(self, size: int) -> bytes:
        """Read that many bytes, or what is left."""
        return self._file.read(min(size, self.rest()))

    def skip(self, size: int) -> None:
        """Go on behind that many bytes.

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
