"""Checkpoint files, read without running what they may carry and written whole or not at all."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import torch
from mmengine.dist import barrier, get_local_rank
from mmengine.runner.checkpoint import CheckpointLoader, get_torch_safe_globals
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

TIMM_SCHEME = 'timm://'
_HTTP = ('http://', 'https://')
_FOLDER_FILES = ('model.safetensors', 'pytorch_model.bin')  # transformers'
_TRUST = (
    'trust=True (--trust on the command line) reads it as Python does, which RUNS that code with '
    'your rights: only for files whose author you would let log in to this machine'
)


def read_checkpoint(
    source: str, map_location: str = 'cpu', trust: bool = False, sha256: str | None = None
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
        ValueError: If the file is empty, truncated, no checkpoint, has another hash, or holds more
            than data; the last names what it wanted to import.
    """
    if source.startswith(TIMM_SCHEME):
        if sha256 is not None:
            raise ValueError(f'sha256 is for files; {source} is checked by its hub')
        return CheckpointLoader.load_checkpoint(source, map_location=map_location)
    if source.startswith(_HTTP):
        source, _, digits = source.partition('#sha256=')
        sha256 = sha256 or digits or None
        path = _download(source)
    elif '://' in source:
        return _read_remote(source, map_location, trust)
    else:
        path = _local_file(source)
    if sha256 is not None:
        _check_hash(path, source, sha256)
    checkpoint = _read_local(path, source, map_location, trust)
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f'{source} is no checkpoint: it holds a {type(checkpoint).__name__}')
    return checkpoint


def _local_file(source: str) -> Path:
    path = Path(source)
    if path.is_dir():
        path = next((path / name for name in _FOLDER_FILES if (path / name).is_file()), path)
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {source} does not exist (looked for {path.resolve()})')
    return path


def _download(url: str) -> Path:
    """Path of a downloaded file; each machine downloads it once."""
    folder = Path(torch.hub.get_dir()) / 'checkpoints'
    path = folder / url.partition('?')[0].rpartition('/')[2]
    if get_local_rank() == 0 and not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path))  # to a temporary file, then moved
        except (URLError, ConnectionError, TimeoutError) as error:
            reason = getattr(error, 'reason', error)
            raise ConnectionError(
                f'checkpoint {url} cannot be downloaded ({reason}); where there is no network, '
                'fetch it elsewhere and give its path instead'
            ) from error
    barrier()
    return path


def _read_remote(source: str, map_location: str, trust: bool) -> object:
    """Read through one of MMEngine's other schemes, which unpickle whatever they find."""
    if not trust:
        raise ValueError(
            f'{source} would be read by MMEngine, which runs code that a file carries: download it '
            f'and give its path, or trust it. {_TRUST}'
        )
    return CheckpointLoader.load_checkpoint(source, map_location=map_location)


def file_sha256(path: Path | str) -> str:
    """Hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_hash(path: Path, source: str, wanted: str) -> None:
    if len(wanted) < 8:
        raise ValueError(f'sha256 must have 8 digits at least, got {wanted!r}')
    found = file_sha256(path)
    if not found.startswith(wanted.lower()):
        raise ValueError(
            f'{source} is not the file that was asked for: its sha256 is {found}, wanted {wanted}. '
            f'It lies in {path.resolve()}; remove it to download it again'
        )


def _read_local(path: Path, source: str, map_location: str, trust: bool) -> object:
    try:
        if path.suffix == '.safetensors':
            return load_file(path, device=map_location)
        # What MMEngine's own checkpoints hold beside tensors: histories of losses, numpy numbers.
        with torch.serialization.safe_globals(get_torch_safe_globals()):
            unsafe = [] if trust else _imports(path)
            if not unsafe:
                return torch.load(path, map_location=map_location, weights_only=not trust)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # torch raises nearly anything on a file that is not its own
        unsafe = re.findall(r'[Uu]nsupported (?:global: )?GLOBAL (\S+)', str(error))
        if unsafe:
            raise _refusal(source, unsafe) from None
        kind = 'safetensors' if isinstance(error, SafetensorError) else 'PyTorch'
        raise ValueError(
            f'{source} cannot be read as a checkpoint; it is empty, truncated, no {kind} file, or '
            f'holds more than data ({_reason(error)})'
        ) from error
    raise _refusal(source, unsafe)


def _reason(error: Exception) -> str:
    """Kind and first line of an error, without torch's advice to read the file unsafely."""
    name, text = type(error).__name__, str(error)
    return f'{name}: {text.splitlines()[0]}' if text and 'weights_only' not in text else name


def _refusal(source: str, imports: list[str]) -> ValueError:
    return ValueError(
        f'{source} is refused: it holds more than data, and reading it would import '
        f'{", ".join(sorted(imports))}. {_TRUST}'
    )


def _imports(path: Path) -> list[str]:
    """What a pickle would import beyond what is known to be harmless; nothing is run."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:  # a file of before torch 1.6: the reader names the first that it meets
        return []


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
    if any(Path(i).exists() and path.exists() and path.samefile(i) for i in inputs):
        raise FileExistsError(f'{path} is an input, which is never written over: give another name')
    with _replacing(path, force) as temporary:
        if path.suffix == '.safetensors':
            save_file(_flat(checkpoint), temporary, metadata={'format': 'pt'})
        else:
            with open(temporary, 'wb') as file:  # a file has no name to leave in the archive
                torch.save(checkpoint, file)


def write_json(contents: Mapping, path: Path, force: bool = False) -> None:
    """Write a JSON file to a temporary file beside its place and move it there.

    Raises:
        FileExistsError: If the place is taken and ``force`` is not given.
    """
    with _replacing(path, force) as temporary:
        temporary.write_text(json.dumps(contents, indent=2) + '\n')


@contextmanager
def _replacing(path: Path, force: bool) -> Iterator[Path]:
    """A temporary file that takes a place when it has been written whole, and else vanishes."""
    if path.exists() and not force:
        raise FileExistsError(f'{path} exists: give another name, or --force to replace it')
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.')
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, 'rb') as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp's files are private
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flat(checkpoint: Mapping) -> dict[str, Tensor]:
    tensors = checkpoint.get('state_dict', checkpoint.get('model', checkpoint))
    return {name: tensor.contiguous() for name, tensor in tensors.items()}
