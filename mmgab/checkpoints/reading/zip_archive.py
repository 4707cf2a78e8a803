"""A PyTorch archive, which is a zip file of stored records with a checked directory."""

import os
import stat
import zipfile
from typing import BinaryIO

import torch

_DIRECTORY = 0x10  # of the external attributes; PyTorch's own reader leaves the memory unwritten
_CHUNK = 1 << 24
_ENTRY = 46  # bytes of the directory for a record, in addition to its name
_ENDS = (22, 22 + 20 + 56)  # bytes of the end of the directory, in both sizes of archives
_MAX_SMALL = 1 << 10  # bytes of a record that says one thing


class ZipArchive:
    """The records of a PyTorch file, each compared with its checksum when it is read.

    PyTorch's own reader ignores checksums.

    Args:
        file: A zip file; the archive reads from it as long as it is used.

    Raises:
        zipfile.BadZipFile: If the directory is damaged, or says something that PyTorch never
            writes: compressed records, folders, a name that is there twice, records that overlap,
            bytes around the records.
        OSError: If the disk cannot read it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._archive = _open_zip(file)
        records = self._archive.infolist()
        for record in records:
            if problem := _problem(record):
                raise zipfile.BadZipFile(f'record {record.filename!r:.100} {problem}')
        self._records = {record.filename: record for record in records}
        if len(self._records) < len(records):
            raise zipfile.BadZipFile('two records have the same name')
        if sum(record.file_size for record in records) > _length(file):
            raise zipfile.BadZipFile('its records overlap')
        self._check_frame(file)
        roots = {name.partition('/')[0] for name in self._records}
        if len(roots) != 1 or not all('/' in name for name in self._records):
            raise zipfile.BadZipFile(f'its records are in {len(roots)} folders, not in one')
        self._root = roots.pop()
        for record in records:
            if not record.filename.startswith(f'{self._root}/data/'):
                self._archive.open(record).close()  # compares its two names

    def _check_frame(self, file: BinaryIO) -> None:
        """Check that the file holds only records, the directory and its end.

        Readers do not agree on what an archive with more in it holds.
        """
        records = self._archive.infolist()
        size = sum(
            _ENTRY + len(record.orig_filename.encode()) + len(record.extra) + len(record.comment)
            for record in records
        )
        rest = _length(file) - self._archive.start_dir - size
        if self._archive.comment or rest not in _ENDS:
            raise zipfile.BadZipFile('it has extra bytes after its directory')
        if not records or min(record.header_offset for record in records) != 0:
            raise zipfile.BadZipFile('it has extra bytes before its records')

    def __contains__(self, name: str) -> bool:
        return f'{self._root}/{name}' in self._records

    def size(self, name: str) -> int:
        """Return the size of a record in bytes."""
        return self._record(name).file_size

    def read(self, name: str) -> bytes:
        """Read a record that is not a tensor."""
        return self._archive.read(self._record(name))

    def read_small(self, name: str) -> bytes:
        """Read a record of one word."""
        if self.size(name) > _MAX_SMALL:
            raise zipfile.BadZipFile(f'its {name} has {self.size(name)} bytes')
        return self.read(name)

    def read_storage(self, name: str) -> torch.UntypedStorage:
        """Read a record into memory of its own."""
        content = torch.empty(self.size(name), dtype=torch.uint8)
        view, position = content.numpy().data, 0
        with self._archive.open(self._record(name)) as record:
            while chunk := record.read(_CHUNK):
                view[position : position + len(chunk)] = chunk
                position += len(chunk)
        if position != len(view):
            raise zipfile.BadZipFile(f'record {name} ends after {position} of {len(view)} bytes')
        return content.untyped_storage()

    def check_sums(self) -> None:
        """Compare all records with their checksums."""
        if damaged := self._archive.testzip():
            raise zipfile.BadZipFile(f'the checksum of {damaged} does not match')

    def _record(self, name: str) -> zipfile.ZipInfo:
        record = self._records.get(f'{self._root}/{name}')
        if record is None:
            raise zipfile.BadZipFile(f'it has no record {name!r:.100}')
        return record


def _open_zip(file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile as error:
        if isinstance(error.__context__, OSError):  # which zipfile takes for no zip file
            raise error.__context__ from None
        raise


def _problem(record: zipfile.ZipInfo) -> str | None:
    """Return the property of a record that PyTorch never writes, if any."""
    if record.compress_type != zipfile.ZIP_STORED:
        return 'is compressed'
    if record.file_size != record.compress_size:
        return f'has two sizes, {record.file_size} and {record.compress_size} bytes'
    if record.is_dir() or record.external_attr & _DIRECTORY or _is_special(record):
        return 'is marked as a folder or link'
    return None


def _is_special(record: zipfile.ZipInfo) -> bool:
    mode = record.external_attr >> 16
    return stat.S_IFMT(mode) not in (0, stat.S_IFREG)


def _length(file: BinaryIO) -> int:
    position = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(position)
    return length
