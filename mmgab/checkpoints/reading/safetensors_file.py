"""Read and write safetensors files; files written here contain their own hash.

The format has no checksums: of another library's files, damage to a tensor's values cannot be
found, unless the hash of the file is known.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

_KEY = 'sha256'  # in the metadata: of the complete file, with zeros in its place
_NO_HASH = '0' * 64


def read_safetensors(content: bytes, device: str | torch.device = 'cpu') -> dict[str, Tensor]:
    """Read the tensors of a file.

    Args:
        content: The complete file: one that is mapped changes with the file, or ends the process.
        device: For the tensors.

    Returns:
        The tensors by name, in memory of their own.

    Raises:
        ValueError: If the hash in the file does not match its contents.
        safetensors.SafetensorError: If it is not a safetensors file.
    """
    tensors = load(content)
    end = 8 + int.from_bytes(content[:8], 'little')
    header = json.loads(content[8:end], object_pairs_hook=_without_repetition)
    noted = header.get('__metadata__', {}).get(_KEY)
    if noted is not None and (len(noted) != 64 or noted != _hash(content, end, noted)):
        raise ValueError('its stored sha256 does not match its contents')
    return {name: tensors[name].to(device) for name in header if name in tensors}


def write_safetensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors, each with a storage of its own, and the hash of the file into it."""
    content = save(dict(tensors), metadata={'format': 'pt', _KEY: _NO_HASH})
    digest = hashlib.sha256(content).hexdigest()
    with open(path, 'wb') as file:  # save_file would put another file in the place of a locked one
        file.write(content.replace(_NO_HASH.encode(), digest.encode(), 1))


def _hash(content: bytes, end: int, noted: str) -> str:
    digest = hashlib.sha256(content[:end].replace(noted.encode(), _NO_HASH.encode()))
    digest.update(memoryview(content)[end:])
    return digest.hexdigest()


def _without_repetition(pairs: list[tuple[str, object]]) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError('its header has a duplicate name')
    return found
