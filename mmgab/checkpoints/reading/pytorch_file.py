"""PyTorch's two file formats, read as plain data: zip archives, and what torch before 1.6 wrote."""

import io
import zipfile
from collections.abc import Callable
from typing import IO, Any, BinaryIO, cast

import torch

from .bounded_stream import BoundedStream
from .names import BUILDERS, NAMES
from .pickle_machine import NotPlainDataError, PickleMachine
from .plain_data import check_plain
from .tensors import Storage, StorageType
from .zip_archive import ZipArchive

_MAGIC_NUMBER, _PROTOCOL_VERSION = 0x1950A86A20F9469CFC6C, 1001  # of torch.serialization
_META = torch.device('meta')
# Of a storage: its key in the file, the dtype of its elements, its size in bytes.
LoadStorage = Callable[[str, torch.dtype, int], torch.UntypedStorage]


def read_zip(file: BinaryIO, device: torch.device) -> object:
    """Read a file of ``torch.save``.

    Args:
        file: A zip file.
        device: For the tensors. On ``meta`` they have no values, and none is read.

    Returns:
        What was saved, as plain data.

    Raises:
        NotPlainDataError: If more than plain data was saved.
        Exception: Of nearly any kind, if it is damaged.
    """
    archive = ZipArchive(file)
    if 'data.pkl' not in archive or 'constants.pkl' in archive:
        raise zipfile.BadZipFile('it was not written by torch.save; it may be TorchScript')
    is_swapped = 'byteorder' in archive and archive.read_small('byteorder') == b'big'

    def load(key: str, dtype: torch.dtype, size: int) -> torch.UntypedStorage:
        name = f'data/{key}'
        if archive.size(name) != size:
            raise ValueError(f'its storage {key!r:.40} has {archive.size(name)} bytes, not {size}')
        if device == _META:
            return torch.UntypedStorage(size, device=device)
        data = archive.read_storage(name)
        if is_swapped:
            data.byteswap(dtype)
        return data

    return _interpret(io.BytesIO(archive.read('data.pkl')), load, device)


def read_legacy(file: BinaryIO, device: torch.device) -> object:
    """Read a file of ``torch.save`` before torch 1.6, which has no checksums.

    Args:
        file: Pickles, and the storages behind them.
        device: For the tensors; see :func:`read_zip`.

    Returns:
        What was saved, as plain data.

    Raises:
        NotPlainDataError: If more than plain data was saved.
        Exception: Of nearly any kind, if it is damaged.
    """
    stream = BoundedStream(file)
    head = [_interpret(stream) for _ in range(3)]
    if head[:2] != [_MAGIC_NUMBER, _PROTOCOL_VERSION]:
        raise ValueError('it does not begin as a file of torch.save does')
    begin, claims = stream.tell(), _Claims(stream)
    value = _interpret(stream, claims, _META)
    storages = {}
    for key in _interpret(stream):
        dtype, size = claims.sizes[key]
        _check_count(stream, dtype, size)
        if device == _META:
            stream.skip(size)
        else:
            storages[key] = _read_storage(stream, size)
            if not head[2]['little_endian']:
                storages[key].byteswap(dtype)
    if device == _META:
        return value
    file.seek(begin)
    return _interpret(stream, lambda key, dtype, size: storages[key], device)


def _interpret(
    stream: BinaryIO | BoundedStream,
    load: LoadStorage | None = None,
    device: torch.device = _META,
) -> Any:
    """Interpret one pickle; without storages it may hold only numbers and strings."""
    names = NAMES if load else {}
    machine = PickleMachine(names, BUILDERS, _Storages(load, device))
    try:
        # Of a file, the machine asks for read, readline and tell alone, which a bounded stream has.
        value = machine.run(cast(IO[bytes], stream))
        check_plain(value)
    except Exception:
        machine.dismantle()
        raise
    return value


class _Storages:
    """The storages that a pickle's persistent ids stand for, each loaded once.

    Args:
        load: Loads one; None where there are none.
        device: Where to.
    """

    def __init__(self, load: LoadStorage | None, device: torch.device) -> None:
        self._load = load
        self._device = device
        self._loaded: dict[str, torch.UntypedStorage] = {}

    def __call__(self, persistent_id: object) -> Storage:
        if self._load is None or type(persistent_id) is not tuple:
            raise ValueError('its pickle refers to data outside of it')
        word, kind, key, _, count, *view = persistent_id
        if word == 'module':
            raise NotPlainDataError('a complete module, whose source code is in the file')
        if word != 'storage' or type(kind) is not StorageType or type(key) is not str:
            raise ValueError('it has a storage of an unknown type')
        if type(count) is not int or count < 0 or view not in ([], [None]):
            raise ValueError(f'its storage {key!r:.40} has {count!r:.40} elements')
        size = count * kind.dtype.itemsize
        if key not in self._loaded:
            self._loaded[key] = self._move(self._load(key, kind.dtype, size))
        if self._loaded[key].nbytes() != size:
            raise ValueError(f'its storage {key!r:.40} has two different sizes')
        return Storage(self._loaded[key], kind.dtype)

    def _move(self, data: torch.UntypedStorage) -> torch.UntypedStorage:
        if data.device == self._device:
            return data
        return torch.empty(0, dtype=torch.uint8).set_(data).to(self._device).untyped_storage()


class _Claims:
    """Storages without values, whose sizes must fit into the rest of the file."""

    def __init__(self, stream: BoundedStream) -> None:
        self.sizes: dict[str, tuple[torch.dtype, int]] = {}
        self._free = stream.rest()

    def __call__(self, key: str, dtype: torch.dtype, size: int) -> torch.UntypedStorage:
        self._free -= size
        if self._free < 0:
            raise ValueError(f'its storage {key!r:.40} of {size} bytes is larger than the file')
        self.sizes[key] = (dtype, size)
        return torch.UntypedStorage(size, device=_META)


def _check_count(stream: BoundedStream, dtype: torch.dtype, size: int) -> None:
    """Read the number of elements in front of a storage, which must be that of its bytes."""
    count = int.from_bytes(stream.read(8), 'little')
    if count * dtype.itemsize != size:
        raise ValueError(f'a storage of {size} bytes has {count} elements of {dtype}')


def _read_storage(stream: BoundedStream, size: int) -> torch.UntypedStorage:
    content = torch.empty(size, dtype=torch.uint8)
    stream.read_into(content.numpy().data)
    return content.untyped_storage()
