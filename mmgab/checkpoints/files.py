"""Checkpoint files, read without running what they may carry and written whole or not at all."""

import os
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from .atomic_file import replacing
from .contents import wrapper_of
from .download import check_hash, download
from .safe_types import safe_types

TIMM_SCHEME = 'timm://'
_SCHEME = re.compile(r'[A-Za-z][\w+.-]*://')
_HTTP = re.compile(r'https?://', re.IGNORECASE)
_FOLDER_FILES = ('model.safetensors', 'pytorch_model.bin')  # transformers'
_TRUST = (
    'trust=True (--trust on the command line) reads it as Python does, which RUNS that code with '
    'your rights: only for files whose author you would let log in to this machine'
)


def read_checkpoint(
    source: str | os.PathLike,
    map_location: str = 'cpu',
    trust: bool = False,
    sha256: str | None = None,
) -> Mapping:
    """Read a checkpoint file, without running code that it may carry.

    Args:
        source: Path of a PyTorch or ``.safetensors`` file, or of a folder that transformers saved;
            ``http(s)://`` URL, downloaded once to torch's hub folder, with ``#sha256=...`` behind
            it to have it checked; ``timm://NAME``.
        map_location: Device for the tensors.
        trust: Unpickle everything, running whatever code the file carries.
        sha256: What the file's hash must be; its first digits will do (8 at least).

    Returns:
        Its contents.

    Raises:
        FileNotFoundError: If there is no such file.
        ConnectionError: If it cannot be downloaded.
        ValueError: If the file is empty, truncated, damaged, no checkpoint, has another hash, or
            holds more than data; the last names what it wanted to import.
    """
    source = os.fspath(source)
    if source.startswith(TIMM_SCHEME) or (_SCHEME.match(source) and not _HTTP.match(source)):
        return _read_remote(source, map_location, trust, sha256)
    path = local_path(source, sha256)
    checkpoint = _read_local(path, source, map_location, trust)
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f'{source} is no checkpoint: it holds a {type(checkpoint).__name__}')
    return checkpoint


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


def _read_remote(source: str, map_location: str, trust: bool, sha256: str | None) -> Mapping:
    """Read through one of MMEngine's schemes; but for timm's, they unpickle whatever they find."""
    if sha256 is not None:
        raise ValueError(f'sha256 is for files and http(s) URLs, {source} cannot be checked')
    if not trust and not source.startswith(TIMM_SCHEME):
        raise ValueError(
            f'{source} would be read by MMEngine, which runs code that a file carries: download it '
            f'and give its path, or trust it. {_TRUST}'
        )
    return CheckpointLoader.load_checkpoint(source, map_location=map_location)


def _read_local(path: Path, source: str, map_location: str, trust: bool) -> object:
    try:
        if path.suffix == '.safetensors':
            return load_file(path, device=map_location)
        _check_sums(path)
        with torch.serialization.safe_globals(safe_types()):
            return torch.load(path, map_location=map_location, weights_only=not trust)
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except Exception as error:  # torch raises nearly anything on a file that is not its own
        wanted = re.search(r'[Uu]nsupported (?:global: )?GLOBAL (\S+)', str(error))
        if wanted:
            raise ValueError(
                f'{source} is refused: it holds more than data, and reading it would import '
                f'{wanted[1]}. {_TRUST}'
            ) from None
        kind = 'safetensors' if isinstance(error, SafetensorError) else 'PyTorch'
        raise ValueError(
            f'{path} cannot be read as a checkpoint; it is empty, truncated, damaged, no {kind} '
            f'file, or holds more than data ({_reason(error)})'
        ) from error


def _check_sums(path: Path) -> None:
    """Compare what a PyTorch archive holds with its check sums, which torch.load does not."""
    if not zipfile.is_zipfile(path):  # PyTorch's first format, which has none
        return
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f'check sum of {damaged} does not match')


def _reason(error: Exception) -> str:
    """Kind and first line of an error, without torch's advice to read the file unsafely."""
    name, text = type(error).__name__, str(error)
    return f'{name}: {text.splitlines()[0]}' if text and 'weights_only' not in text else name


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
            save_file(_flat(checkpoint), temporary, metadata={'format': 'pt'})
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
