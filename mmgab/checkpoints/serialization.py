"""The bytes of a checkpoint file, in the format that its suffix asks for."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from .contents import wrapper_of
from .reading import write_safetensors

_COPIES = 16  # of the memory that tensors share
_FREE_COPIES = 1 << 26  # bytes


def serialize(checkpoint: Mapping, path: Path) -> None:
    """Write a checkpoint into a file; the same contents give the same bytes, whatever its name.

    Args:
        checkpoint: What to write. A ``.safetensors`` file gets the tensors alone.
        path: The file.
    """
    if path.suffix == '.safetensors':
        write_safetensors(_flat(checkpoint), path)
    else:
        with open(path, 'wb') as file:  # a file has no name to leave in the archive
            torch.save(checkpoint, file)


def _flat(checkpoint: Mapping) -> dict[str, Tensor]:
    """Return only the tensors, each with its own storage, as the format requires."""
    wrapper = wrapper_of(checkpoint)
    tensors = checkpoint if wrapper is None else checkpoint[wrapper]
    tensors = {name: t for name, t in tensors.items() if isinstance(t, Tensor)}
    written = sum(t.numel() * t.element_size() for t in tensors.values())
    storages = [t.untyped_storage() for t in tensors.values()]
    held = sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
    if written > _COPIES * held + _FREE_COPIES:
        raise ValueError(
            f'its tensors share {held} bytes of memory and would take {written} bytes in a file'
        )
    return {name: t.contiguous().clone() for name, t in tensors.items()}
