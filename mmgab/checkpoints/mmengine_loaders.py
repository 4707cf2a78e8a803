"""Replace MMEngine's checkpoint loaders by ones that unpickle no code, also for ``init_cfg``.

MMEngine's own loaders unpickle everything if PyTorch's restricted unpickler rejects a file.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import BinaryIO

import torch
from mmengine.runner.checkpoint import CheckpointLoader

from mmgab.openmmlab_compat import replace_checkpoint_readers

from .files import read_checkpoint, read_file
from .timm_hub import TIMM_SCHEME, load_from_timm

_is_trusted: ContextVar[bool] = ContextVar('is_trusted', default=False)


@contextmanager
def trusting(trust: bool) -> Iterator[None]:
    """Have MMEngine's loading unpickle everything; see :func:`~.files.read_checkpoint`."""
    token = _is_trusted.set(trust)
    try:
        yield
    finally:
        _is_trusted.reset(token)


# MMEngine logs a loader's name from its eleventh letter on.
def load_from_local(filename: str, map_location: str | torch.device | None = None) -> Mapping:
    """Read a file, or a folder that transformers saved."""
    return read_checkpoint(os.path.expanduser(filename), map_location, _is_trusted.get())


def load_from_http(
    filename: str, map_location: str | torch.device | None = None, **kwargs: object
) -> Mapping:
    """Read a file behind a URL, downloaded once; MMEngine's other arguments have no effect."""
    return read_checkpoint(filename, map_location, _is_trusted.get())


def _load(
    file: str | BinaryIO,
    map_location: str | torch.device | None = None,
    weights_only: object = None,
) -> object:
    """Read what one of MMEngine's storage backends fetched."""
    if isinstance(file, (str, os.PathLike)):
        return load_from_local(os.fspath(file), map_location)
    return read_file(file, 'a file of a storage backend', map_location, _is_trusted.get())


CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
CheckpointLoader.register_scheme(prefixes=TIMM_SCHEME, loader=load_from_timm, force=True)
CheckpointLoader.register_scheme(
    prefixes=('http://', 'https://'), loader=load_from_http, force=True
)
replace_checkpoint_readers(load_from_http, _load)
