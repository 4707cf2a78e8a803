"""Check that what was read is plain data, a finite tree of bounded depth and size."""

from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch

from .pickle_machine import Named, NotPlainDataError

MAX_DEPTH = 200
MAX_ITEMS = 3_000_000  # an item that is used twice counts twice
_DICTS = (dict, OrderedDict, defaultdict, Counter)
_SEQUENCES = (list, tuple, set, frozenset)
_LEAVES = frozenset((
    type(None), bool, int, float, complex, str, bytes, bytearray, slice, np.ndarray,
    torch.Tensor, torch.nn.Parameter, torch.Size, torch.dtype, torch.device,
    PurePosixPath, PureWindowsPath,
))  # fmt: skip


def check_plain(root: object) -> None:
    """Check what a pickle described; everything behind this may walk it recursively.

    Args:
        root: Containers, numbers, strings, arrays and tensors.

    Raises:
        NotPlainDataError: If something else is in it.
        ValueError: If a container is inside itself, or it is nested too deeply or too large when
            shared parts are counted as often as they are used.
    """
    sizes: dict[int, int] = {}  # of containers that were walked, by id
    path = [_Frame(root)] if _is_container(root) else []
    on_path = {id(root)}
    while path:
        frame = path[-1]
        for child in frame.children:
            if not _is_container(child):
                frame.size += 1
            elif id(child) in sizes:
                frame.size += sizes[id(child)]
            elif id(child) in on_path:
                raise ValueError(f'it holds a {type(child).__name__} that contains itself')
            else:
                path.append(_Frame(child))
                on_path.add(id(child))
                break
            _check_size(frame.size)
        else:
            path.pop()
            on_path.remove(id(frame.value))
            sizes[id(frame.value)] = frame.size
            if path:
                path[-1].size += frame.size
                _check_size(path[-1].size)
        if len(path) > MAX_DEPTH:
            raise ValueError(f'it is nested more than {MAX_DEPTH} deep')


class _Frame:
    def __init__(self, value: object) -> None:
        self.value, self.children, self.size = value, _children(value), 1


def _children(value: Any) -> Iterator:
    if isinstance(value, Namespace):
        return iter(vars(value).values())
    if isinstance(value, dict):
        return chain(value.keys(), value.values(), getattr(value, '__dict__', {}).values())
    return iter(value)


def _is_container(value: object) -> bool:
    """Whether a value has parts; checks those that have none."""
    kind = type(value)
    if kind in _DICTS or kind in _SEQUENCES or kind is Namespace:
        return True
    if isinstance(value, Named):
        raise NotPlainDataError(value.name)
    if kind not in _LEAVES and not _is_known(value):
        raise NotPlainDataError(f'{kind.__module__}.{kind.__qualname__}')
    return False


def _is_known(value: object) -> bool:
    """Whether a value is a number of NumPy, a dtype, or a history of MMEngine's logs."""
    return isinstance(value, (np.generic, np.dtype)) or type(value).__name__ == 'HistoryBuffer'


def _check_size(size: int) -> None:
    if size > MAX_ITEMS:
        raise ValueError(f'it holds more than {MAX_ITEMS} items')
