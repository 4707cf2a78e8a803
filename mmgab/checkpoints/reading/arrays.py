"""NumPy arrays, scalars and dtypes of a pickle, made only from bytes of the right length."""

import math
import re
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from .pickle_machine import UnsupportedDataError

_CODE = re.compile(r'[<>=|]?([biufcSU]\d+|\?)')
_MAX_ITEM_SIZE = 1 << 20


@dataclass(eq=False)
class UnfinishedDtype:
    """A dtype whose byte order is not known yet.

    Attributes:
        code: NumPy's, such as ``'f8'``.
    """

    code: str


class UnfinishedArray:
    """An array whose state is not known yet."""


def make_dtype(code: str, align: bool, copy: bool) -> UnfinishedDtype:
    """Begin a dtype of numbers or text; objects, records and dates are rejected.

    Raises:
        UnsupportedDataError: If the code is another one.
    """
    if not _CODE.fullmatch(code) or not 0 < np.dtype(code).itemsize <= _MAX_ITEM_SIZE:
        raise UnsupportedDataError(
            f'it has a NumPy array of dtype {code!r:.20}, not of numbers or text'
        )
    return UnfinishedDtype(code)


def finish_dtype(unfinished: UnfinishedDtype, state: tuple) -> np.dtype:
    """Finish a dtype with the byte order in its state ``(version, order, ...)``."""
    order = state[1]
    if order not in ('<', '>', '=', '|'):
        raise ValueError(f'it has a NumPy dtype of byte order {order!r}')
    return np.dtype(unfinished.code).newbyteorder(order)


def make_array(kind: object, shape: tuple, code: bytes) -> UnfinishedArray:
    """Begin an array, whose state holds its contents."""
    return UnfinishedArray()


def finish_array(unfinished: UnfinishedArray, state: tuple) -> np.ndarray:
    """Finish an array with its state ``(version, shape, dtype, is_fortran, bytes)``."""
    _, shape, dtype, is_fortran, content = state
    array = make_from_buffer(content, dtype, shape, 'F' if is_fortran else 'C')
    return array.astype(dtype.newbyteorder('='), copy=False)  # as NumPy does


def make_from_buffer(
    content: bytes, dtype: np.dtype, shape: tuple, order: Literal['C', 'F']
) -> np.ndarray:
    """Make an array that owns its memory.

    Args:
        content: All of its bytes.
        dtype: Of numbers or text.
        shape: Of the array.
        order: ``'C'`` or ``'F'``.

    Raises:
        ValueError: If the bytes are not those of that many items, or something is of another type.
    """
    if not isinstance(dtype, np.dtype):
        raise ValueError(f'it has a {type(dtype).__name__} for the dtype of a NumPy array')
    if not isinstance(content, (bytes, bytearray)):
        raise ValueError(f'it has a NumPy array with a {type(content).__name__} for its bytes')
    if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f'it has a NumPy array of shape {shape!r:.60}')
    if math.prod(shape) * dtype.itemsize != len(content):
        raise ValueError(f'it has a NumPy array of {shape} {dtype} in {len(content)} bytes')
    return np.array(np.frombuffer(content, dtype).reshape(shape, order=order), order=order)


def make_number(dtype: np.dtype, content: bytes) -> np.generic:
    """Make a NumPy scalar from its bytes."""
    # An array without dimensions gives a number for an empty index.
    return cast(np.generic, make_from_buffer(content, dtype, (), 'C')[()])
