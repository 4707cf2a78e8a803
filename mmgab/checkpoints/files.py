"""Checkpoint files, read as data and written atomically."""

import errno
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import torch

from mmgab.atomic_file import replacing
from mmgab.downloads.download import check_digest, check_hash, download, split_hash
from mmgab.downloads.url import redact
from mmgab.printable_text import printable

from .reading import (
    NotPlainDataError,
    UnsupportedDataError,
    ZipArchive,
    read_legacy,
    read_safetensors,
    read_zip,
)
from .serialization import serialize
from .timm_hub import TIMM_SCHEME, load_from_timm

_SCHEME = re.compile(r'[A-Za-z][\w+.-]*://')
_HTTP = re.compile(r'https?://', re.IGNORECASE)
# MMEngine's names for files behind URLs, which come back here.
_NAMED_URLS = ('torchvision://', 'modelzoo://', 'open-mmlab://', 'openmmlab://', 'mmcls://')
_SHOWN = 300  # characters of a file's text in messages
_FOLDER_FILES = ('model.safetensors', 'pytorch_model.bin')  # transformers'
_ZIP_START, _PICKLE_START, _TAR_STARTS = b'PK\x03\x04', b'\x80', (b'././@', b'storages')
_TRUST = (
    'Use a file that holds only tensors: .safetensors, or torch.save of a state dict. trust=True '
    '(--trust on the command line) runs the code with your permissions; use it only if you would '
    'let the author of the file log in to this machine'
)


def read_checkpoint(
    source: str | os.PathLike,
    map_location: str | torch.device | None = 'cpu',
    trust: bool = False,
    sha256: str | None = None,
) -> Mapping:
    """Read a checkpoint file as data, without unpickling code.

    Args:
        source: Path of a PyTorch or ``.safetensors`` file, or of a folder that transformers saved;
            ``http(s)://`` URL, downloaded once to torch's hub folder, with ``#sha256=...`` behind
            it to have it checked; ``timm://NAME``, or a name that MMEngine has a URL for.
        map_location: Device for the tensors; None for the CPU. On ``'meta'`` tensors have no
            values, and of a PyTorch archive none is read.
        trust: Unpickle everything, running whatever code the file contains. Checksums are verified
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
    source, sha256 = _split_hash(source, sha256)
    path = _path_of(source, sha256)
    name = f'{redact(source)} (in {path})' if _HTTP.match(source) else source
    with _opened(path, name, sha256) as file:
        checkpoint = read_file(file, name, map_location, trust)
    if not isinstance(checkpoint, Mapping):
        raise ValueError(
            f'{name} is not a checkpoint: it holds a {type(checkpoint).__name__}, not a dict'
        )
    return checkpoint


@contextmanager
def _opened(path: Path, name: str, sha256: str | None) -> Iterator[BinaryIO]:
    """Open a file; one that is hashed is read once, so that what was hashed is what is read."""
    with open(path, 'rb') as file:
        if sha256 is None:
            yield file
            return
        content = file.read()
    check_digest(hashlib.sha256(content).hexdigest(), name, path, sha256)
    yield io.BytesIO(content)


def read_file(
    file: BinaryIO,
    source: str,
    map_location: str | torch.device | None = 'cpu',
    trust: bool = False,
) -> object:
    """Read an open file; see :func:`read_checkpoint`, whose errors have ``source`` in them."""
    device = torch.device('cpu' if map_location is None else map_location)
    try:
        start = file.read(16)
        file.seek(0)
        return _reader(start, trust)(file, device)
    except NotPlainDataError as error:
        raise NotPlainDataError(
            f'{source} is rejected: it contains executable pickle code, and reading it would call '
            f'or import {printable(error.wanted[:_SHOWN])}. {_TRUST}'
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
    is_advice = not text or 'weights_only' in text
    reason = name if is_advice else f'{name}: {printable(text.splitlines()[0][:_SHOWN])}'
    return ValueError(
        f'{source} cannot be read as a checkpoint; it is empty, truncated, damaged, or not a '
        f'PyTorch or safetensors file ({reason})'
    )


def _reader(start: bytes, trust: bool) -> Callable[[BinaryIO, torch.device], object]:
    """Return the reader for a file with these first bytes, whatever its suffix."""
    if start.startswith(_ZIP_START):
        return _unpickle_zip if trust else read_zip
    if start.startswith(_PICKLE_START):
        return _unpickle if trust else read_legacy
    if start.startswith(_TAR_STARTS):
        raise ValueError(
            'it was written by torch before 0.2; load it with torch.load and save it again'
        )
    return lambda file, device: read_safetensors(file.read(), device)


def _unpickle_zip(file: BinaryIO, device: torch.device) -> object:
    ZipArchive(file).check_sums()
    file.seek(0)
    return _unpickle(file, device)


def _unpickle(file: BinaryIO, device: torch.device) -> object:
    return torch.load(file, map_location=device, weights_only=False)


def local_path(source: str, sha256: str | None = None) -> Path:
    """Return the local path of a source: a file, a file in a folder, or a download.

    Raises:
        FileNotFoundError: If there is no such file.
        ConnectionError: If it cannot be downloaded.
        ValueError: If it has another hash.
    """
    source, sha256 = _split_hash(source, sha256)
    path = _path_of(source, sha256)
    if sha256 is not None:
        check_hash(path, redact(source), sha256)
    return path


def _split_hash(source: str, sha256: str | None) -> tuple[str, str | None]:
    """Take ``#sha256=...`` off a URL."""
    if not _HTTP.match(source):
        return source, sha256
    url, digits = split_hash(source)
    if digits is not None and sha256 is not None and digits != sha256.lower():
        raise ValueError(
            f'{redact(url)} has two hashes: {digits} in the URL and sha256={sha256}; give one'
        )
    return url, digits or sha256


def _path_of(source: str, sha256: str | None) -> Path:
    if _HTTP.match(source):
        return download(source, sha256, _check_structure)
    path = Path(source)
    if path.is_dir():
        held = [path / name for name in _FOLDER_FILES if (path / name).is_file()]
        if not held:
            raise FileNotFoundError(
                f'folder {source} has no checkpoint; it must contain {" or ".join(_FOLDER_FILES)}'
            )
        path = held[0]
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {source} does not exist (looked for {path.resolve()})')
    return path


def _check_structure(path: Path) -> None:
    """Raise an error for a truncated or damaged file, without reading its tensors."""
    with open(path, 'rb') as file, suppress(NotPlainDataError):  # which the reader reports
        read_file(file, str(path), 'meta')


def _read_remote(
    source: str, map_location: str | torch.device | None, trust: bool, sha256: str | None
) -> Mapping:
    """Read through timm's hub code, or one of MMEngine's schemes."""
    if sha256 is not None:
        raise ValueError(
            f'sha256 is supported for files and http(s) URLs only; {source} cannot be checked'
        )
    if source.startswith(TIMM_SCHEME):
        return load_from_timm(source, map_location)
    if not trust and not source.startswith(_NAMED_URLS):
        raise ValueError(
            f'{source} would be read by MMEngine, which may run code in the file: '
            f'download it and give its path. {_TRUST}'
        )
    try:
        from mmengine.runner.checkpoint import CheckpointLoader
    except ImportError as error:
        raise ImportError(f'{source} needs mmengine to resolve its URL') from error
    return CheckpointLoader.load_checkpoint(source, map_location=map_location)


def write_checkpoint(
    checkpoint: Mapping, path: Path | str, inputs: Iterable[Path | str] = (), force: bool = False
) -> None:
    """Write a checkpoint atomically: to a temporary file in the same folder, which is then moved.

    Args:
        checkpoint: What to write. A ``.safetensors`` file gets the tensors alone.
        path: Where to; the ending ``.safetensors`` decides the format.
        inputs: Files that must never be overwritten.
        force: Overwrite an existing file.

    Raises:
        FileExistsError: If the place is taken, by an input or without ``force``.
        OSError: If the folder cannot be written.
    """
    path = Path(path)
    check_output(path, inputs, force)
    with replacing(path) as temporary:
        serialize(checkpoint, temporary)


def check_output(path: Path, inputs: Iterable[Path | str] = (), force: bool = False) -> None:
    """Check that a file may be written; see :func:`write_checkpoint`.

    Raises:
        FileExistsError: If the place is taken, by an input or without ``force``.
    """
    if not path.exists():
        return
    if any(Path(i).exists() and path.samefile(i) for i in inputs):
        raise FileExistsError(
            f'{path} is an input file, which is never overwritten: choose another output path'
        )
    if not force:
        raise FileExistsError(
            f'{path} exists: choose another output path, or use --force to overwrite it'
        )
