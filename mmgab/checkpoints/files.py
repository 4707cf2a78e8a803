"""Checkpoint files, read as data and written atomically."""

import errno
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor

from .atomic_file import replacing
from .contents import wrapper_of
from .download import check_hash, download
from .reading import (
    NotPlainDataError,
    UnsupportedDataError,
    ZipArchive,
    read_legacy,
    read_safetensors,
    read_zip,
    write_safetensors,
)

TIMM_SCHEME = 'timm://'
_SCHEME = re.compile(r'[A-Za-z][\w+.-]*://')
_HTTP = re.compile(r'https?://', re.IGNORECASE)
# MMEngine's names for files behind URLs, which come back here.
_NAMED_URLS = ('torchvision://', 'modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://')
_FOLDER_FILES = ('model.safetensors', 'pytorch_model.bin')  # transformers'
_ZIP_START, _PICKLE_START, _TAR_STARTS = b'PK\x03\x04', b'\x80', (b'././@', b'storages')
_TRUST = (
    'Ask for a file of tensors alone: .safetensors, or torch.save of a state dict. trust=True '
    '(--trust on the command line) would run the code with your rights: that is for files whose '
    'author you would let log in to this machine'
)


def read_checkpoint(
    source: str | os.PathLike,
    map_location: str | torch.device | None = 'cpu',
    trust: bool = False,
    sha256: str | None = None,
) -> Mapping:
    """Read a checkpoint file as data: nothing in it is imported or called.

    Args:
        source: Path of a PyTorch or ``.safetensors`` file, or of a folder that transformers saved;
            ``http(s)://`` URL, downloaded once to torch's hub folder, with ``#sha256=...`` behind
            it to have it checked; ``timm://NAME``, or a name that MMEngine has a URL for.
        map_location: Device for the tensors; None for the CPU. On ``'meta'`` tensors have no
            values, and of a PyTorch archive none is read.
        trust: Unpickle everything, running whatever code the file contains. Check sums are compared
            all the same.
        sha256: What the file's hash must be; its first digits will do (8 at least).

    Returns:
        Its contents: plain containers, numbers, strings, NumPy arrays, tensors, and MMEngine's
        histories. Classes that are dicts with another access (``ConfigDict``, ``CfgNode``,
        ``AttributeDict``) are read as dicts.

    Raises:
        FileNotFoundError: If there is no such file.
        ConnectionError: If it cannot be downloaded.
        OSError: If the disk cannot read it.
        ValueError: If the file is empty, truncated, damaged, no checkpoint, or has another hash.
        NotPlainDataError: If the file contains executable pickle code; a ValueError, which names
            what would be called.
    """
    source = os.fspath(source)
    if _SCHEME.match(source) and not _HTTP.match(source):
        return _read_remote(source, map_location, trust, sha256)
    path = local_path(source, sha256)
    with open(path, 'rb') as file:
        if sha256 is not None or '#' in source:  # what was hashed is what is read
            content = file.read()
            file = io.BytesIO(content)
        checkpoint = read_file(file, source, map_location, trust)
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f'{source} is no checkpoint: it holds a {type(checkpoint).__name__}')
    return checkpoint


def read_file(
    file: BinaryIO,
    source: str,
    map_location: str | torch.device | None = 'cpu',
    trust: bool = False,
) -> object:
    """Read an open file; see :func:`read_checkpoint`, whose errors have ``source`` in them."""
    device = torch.device('cpu' if map_location is None else map_location)
    start = file.read(16)
    file.seek(0)
    try:
        return _reader(start, trust)(file, device)
    except NotPlainDataError as error:
        raise NotPlainDataError(
            f'{source} is refused: it contains executable pickle code, and reading it would call '
            f'or import {error.wanted}. {_TRUST}'
        ) from None
    except UnsupportedDataError as error:
        raise ValueError(f'{source} cannot be loaded: {error}') from None
    except MemoryError:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:  # an offset that no file has
            raise type(error)(error.errno, error.strerror, source) from error
        raise _damaged(source, error) from error
    except Exception as error:  # readers raise nearly anything on a file that is damaged
        raise _damaged(source, error) from error


def _damaged(source: str, error: Exception) -> ValueError:
    name, text = type(error).__name__, str(error)
    reason = f'{name}: {text.splitlines()[0]:.300}' if text and 'weights_only' not in text else name
    return ValueError(
        f'{source} cannot be read as a checkpoint; it is empty, truncated, damaged, or no file of '
        f'PyTorch or safetensors ({reason})'
    )


def _reader(start: bytes, trust: bool) -> Callable[[BinaryIO, torch.device], object]:
    """The reader for a file that begins so; its suffix says little."""
    if start.startswith(_ZIP_START):
        return _unpickle_zip if trust else read_zip
    if start.startswith(_PICKLE_START):
        return _unpickle if trust else read_legacy
    if start.startswith(_TAR_STARTS):
        raise ValueError('torch before 0.2 wrote it: load it with torch and save it again')
    return lambda file, device: read_safetensors(file.read(), device)


def _unpickle_zip(file: BinaryIO, device: torch.device) -> object:
    ZipArchive(file).check_sums()
    file.seek(0)
    return _unpickle(file, device)


def _unpickle(file: BinaryIO, device: torch.device) -> object:
    return torch.load(file, map_location=device, weights_only=False)


def local_path(source: str, sha256: str | None = None) -> Path:
    """Path of the file behind a source: its own, that in a folder, or that of its download.

    Raises:
        FileNotFoundError: If there is no such file.
        ConnectionError: If it cannot be downloaded.
        ValueError: If it has another hash.
    """
    if _HTTP.match(source):
        url, _, digits = source.partition('#sha256=')
        if digits and sha256 not in (None, digits):
            raise ValueError(f'{url} is given two hashes: {digits} and {sha256}')
        return download(url, digits or sha256)
    path = Path(source)
    if path.is_dir():
        held = [path / name for name in _FOLDER_FILES if (path / name).is_file()]
        if not held:
            raise FileNotFoundError(f'folder {source} holds none of {", ".join(_FOLDER_FILES)}')
        path = held[0]
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {source} does not exist (looked for {path.resolve()})')
    if sha256 is not None:
        check_hash(path, source, sha256)
    return path


def _read_remote(
    source: str, map_location: str | torch.device | None, trust: bool, sha256: str | None
) -> Mapping:
    """Read through one of MMEngine's schemes."""
    if sha256 is not None:
        raise ValueError(f'sha256 is for files and http(s) URLs, {source} cannot be checked')
    if not trust and not source.startswith((TIMM_SCHEME, *_NAMED_URLS)):
        raise ValueError(
            f'{source} would be read by MMEngine, which may run code that the file contains: '
            f'download it and give its path. {_TRUST}'
        )
    return CheckpointLoader.load_checkpoint(source, map_location=map_location)


def write_checkpoint(
    checkpoint: Mapping, path: Path | str, inputs: Iterable[Path | str] = (), force: bool = False
) -> None:
    """Write a checkpoint to a temporary file beside its place and move it there.

    Args:
        checkpoint: What to write. A ``.safetensors`` file gets the tensors alone.
        path: Where to; the ending ``.safetensors`` decides the format.
        inputs: Files that must never be written over.
        force: Replace a file that is there.

    Raises:
        FileExistsError: If the place is taken, by an input or without ``force``.
        OSError: If the folder cannot be written.
    """
    path = Path(path)
    check_output(path, inputs, force)
    with replacing(path) as temporary:
        if path.suffix == '.safetensors':
            write_safetensors(_flat(checkpoint), temporary)
        else:
            with open(temporary, 'wb') as file:  # a file has no name to leave in the archive
                torch.save(checkpoint, file)


def check_output(path: Path, inputs: Iterable[Path | str] = (), force: bool = False) -> None:
    """Check that a file may be written; see :func:`write_checkpoint`.

    Raises:
        FileExistsError: If the place is taken, by an input or without ``force``.
    """
    if not path.exists():
        return
    if any(Path(i).exists() and path.samefile(i) for i in inputs):
        raise FileExistsError(f'{path} is an input, which is never written over: give another name')
    if not force:
        raise FileExistsError(f'{path} exists: give another name, or --force to replace it')


def _flat(checkpoint: Mapping) -> dict[str, Tensor]:
    """The tensors alone; each with a storage of its own, as the format wants."""
    wrapper = wrapper_of(checkpoint)
    tensors = checkpoint if wrapper is None else checkpoint[wrapper]
    return {n: t.contiguous().clone() for n, t in tensors.items() if isinstance(t, Tensor)}
