"""Make tensors as views of storages, within their bounds."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .pickle_machine import Named, UnsupportedDataError

_MAX_DIMENSIONS = 64  # more take time that grows with their square
_MAX_REPEATED = 1 << 20  # elements of a view that has more of them than its storage
_LEGACY_DTYPES = {
    'Float': torch.float32, 'Double': torch.float64, 'Half': torch.float16,
    'BFloat16': torch.bfloat16, 'Long': torch.int64, 'Int': torch.int32, 'Short': torch.int16,
    'Char': torch.int8, 'Byte': torch.uint8, 'Bool': torch.bool,
    'ComplexFloat': torch.complex64, 'ComplexDouble': torch.complex128,
    'QInt8': torch.qint8, 'QUInt8': torch.quint8, 'QInt32': torch.qint32,
}  # fmt: skip
DTYPES = {
    f'torch.{name}': value for name, value in vars(torch).items() if type(value) is torch.dtype
}


class StorageType(NamedTuple):
    """A kind of storage that a file names, such as ``torch.FloatStorage``.

    Attributes:
        dtype: Of its elements; bytes for storages without a type.
    """

    dtype: torch.dtype


STORAGE_TYPES = {
    f'torch.{device}{name}Storage': StorageType(dtype)
    for device in ('', 'cuda.')
    for name, dtype in _LEGACY_DTYPES.items()
} | {'torch.storage.UntypedStorage': StorageType(torch.uint8)}


class Storage(NamedTuple):
    """Memory that tensors are views of.

    Attributes:
        data: Its bytes.
        dtype: Of the elements.
    """

    data: torch.UntypedStorage
    dtype: torch.dtype


def make_tensor(storage: Storage, offset: int, size: tuple, stride: tuple) -> Tensor:
    """Make a view of a storage; offset and strides in elements.

    Raises:
        ValueError: If it would reach outside of the storage, or repeat its elements a million
            times.
    """
    return _view(storage, storage.dtype, offset, size, stride)


def make_tensor_v2(
    storage: Storage,
    offset: int,
    size: tuple,
    stride: tuple,
    requires_grad: bool,
    backward_hooks: object,
    metadata: object = None,
) -> Tensor:
    """Make a view as :func:`make_tensor` does; hooks in the file are ignored.

    Raises:
        ValueError: As :func:`make_tensor`, and for tensors with a conjugate or negative bit.
    """
    tensor = make_tensor(storage, offset, size, stride)
    return _finished(tensor, requires_grad, metadata)


def make_tensor_v3(
    storage: Storage,
    offset: int,
    size: tuple,
    stride: tuple,
    requires_grad: bool,
    backward_hooks: object,
    dtype: torch.dtype,
    metadata: object = None,
) -> Tensor:
    """Make a view of a storage without a type; see :func:`make_tensor_v2`."""
    if type(dtype) is not torch.dtype:
        raise ValueError(f'it has a tensor with a {type(dtype).__name__} for its dtype')
    return _finished(_view(storage, dtype, offset, size, stride), requires_grad, metadata)


def make_parameter(
    data: Tensor, requires_grad: bool, hooks: object, state: object = None
) -> Tensor:
    """Make a parameter; its other attributes are dropped."""
    if not isinstance(data, Tensor) or type(requires_grad) is not bool:
        raise ValueError('it has a parameter without a tensor')
    return nn.Parameter(data, requires_grad)


def make_of_type(make: object, kind: object, arguments: tuple, state: object) -> Tensor:
    """Make a tensor that was saved with attributes or as a buffer; the attributes are dropped."""
    makers = (make_tensor_v2, make_tensor_v3, make_parameter)
    if not isinstance(make, Named) or make.make not in makers:
        name = make.name if isinstance(make, Named) else type(make).__name__
        raise ValueError(f'it has a tensor that is made by {name}')
    return make.make(*arguments)


def unsupported(kind: str) -> Callable[..., None]:
    """Return a constructor that raises an error, for a tensor type that is not supported."""

    def make(*arguments: object) -> None:
        raise UnsupportedDataError(
            f'it holds a {kind} tensor: convert it to a dense tensor before saving'
        )

    return make


def _view(storage: Storage, dtype: torch.dtype, offset: int, size: tuple, stride: tuple) -> Tensor:
    if type(storage) is not Storage:
        raise ValueError(f'it has a tensor that is a view of a {type(storage).__name__}')
    numbers = (offset, *size, *stride)
    is_sound = len(size) == len(stride) <= _MAX_DIMENSIONS
    if not is_sound or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError(f'it has a tensor of size {size!r:.60}, stride {stride!r:.60}')
    available = storage.data.nbytes() // dtype.itemsize
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if (last >= available) if count else (offset > available):
        raise ValueError(
            f'it has a tensor of size {size} and stride {stride} at {offset}, outside of its '
            f'storage of {available} elements'
        )
    if count > max(available, _MAX_REPEATED):
        raise ValueError(f'it has a tensor of {count} elements in a storage of {available}')
    tensor = torch.empty(0, dtype=dtype, device=storage.data.device)
    return tensor.set_(storage.data, offset, size, stride)


def _finished(tensor: Tensor, requires_grad: bool, metadata: object) -> Tensor:
    if metadata:
        raise UnsupportedDataError(
            'it has a tensor with a conjugate or negative bit: save it after resolve_conj() and '
            'resolve_neg()'
        )
    return tensor.requires_grad_(requires_grad)
