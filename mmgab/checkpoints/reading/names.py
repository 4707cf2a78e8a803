"""Names that valid checkpoints hold, with the functions that make plain data for them."""

from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePosixPath, PureWindowsPath
from typing import TypeVar

import torch

from . import history
from .arrays import (
    UnfinishedArray,
    UnfinishedDtype,
    finish_array,
    finish_dtype,
    make_array,
    make_dtype,
    make_from_buffer,
    make_number,
)
from .pickle_machine import Named, UnsupportedDataError, checked_keys
from .tensors import (
    DTYPES,
    STORAGE_TYPES,
    make_of_type,
    make_parameter,
    make_tensor,
    make_tensor_v2,
    make_tensor_v3,
    unsupported,
)

# Classes of other projects that are dicts with another access; they are read as dicts.
_DICT_CLASSES = (
    'mmengine.config.config.ConfigDict',
    'mmcv.utils.config.ConfigDict',
    'addict.addict.Dict',
    'yacs.config.CfgNode',
    'fvcore.common.config.CfgNode',
    'detectron2.config.config.CfgNode',
    'lightning_fabric.utilities.data.AttributeDict',
    'lightning.fabric.utilities.data.AttributeDict',
    'pytorch_lightning.utilities.parsing.AttributeDict',
)
_FACTORIES = {
    'builtins.dict': dict, 'builtins.float': float, 'builtins.int': int, 'builtins.list': list,
    'builtins.set': set, 'builtins.str': str, 'collections.OrderedDict': OrderedDict,
}  # fmt: skip
Kind = TypeVar('Kind')
# In the notes of a module: PyTorch would put the file's tensors in place of the parameters.
_ASSIGN = 'assign_to_params_buffers'
_ENCODINGS = ('latin1', 'latin-1', 'utf-8')


def _make_empty_bytes() -> bytes:
    return b''


def _encode(text: object, encoding: str) -> bytes:
    if encoding not in _ENCODINGS:
        raise ValueError(f'it has bytes in the encoding {encoding!r:.40}')
    return _require(str, text).encode(encoding)


def _make_bytearray(content: bytes | str = b'', encoding: str | None = None) -> bytearray:
    return bytearray(_require(bytes, content) if encoding is None else _encode(content, encoding))


def _make_set(kind: type, items: list) -> set | frozenset:
    return kind(checked_keys(_require(list, items)))


def _make_ordered_dict(pairs: list | tuple = ()) -> OrderedDict:
    keys = checked_keys([key for key, _ in pairs])
    return OrderedDict(zip(keys, (value for _, value in pairs), strict=True))


def _make_default_dict(factory: Named | None = None) -> defaultdict:
    if factory is not None and factory.name not in _FACTORIES:
        raise UnsupportedDataError(f'it has a defaultdict of {factory.name}')
    return defaultdict(None if factory is None else _FACTORIES[factory.name])


def _make_dict_of(kind: type, content: dict | None = None) -> dict:
    return kind({} if content is None else _require(dict, content))


def _make_path(kind: type, *parts: str) -> PurePosixPath | PureWindowsPath:
    return kind(*(_require(str, part) for part in parts))


def _make_of_numbers(kind: type, *numbers: float | None) -> complex | slice:
    if any(type(number) not in (int, float, type(None)) for number in numbers):
        raise TypeError(f'it has a {kind.__name__} of values that are not numbers')
    return kind(*numbers)


def _make_size(sizes: tuple) -> torch.Size:
    return torch.Size(_require(int, size) for size in sizes)


def _make_device(kind: str, index: int | None = None) -> torch.device:
    _require(str, kind)
    return torch.device(kind) if index is None else torch.device(kind, _require(int, index))


def _set_attributes(target: Namespace, state: Mapping) -> Namespace:
    vars(target).update(_require(dict, state))
    return target


def _set_metadata(target: dict, state: Mapping) -> dict:
    """Keep the metadata of modules; other attributes of a dict are dropped."""
    if isinstance(target, OrderedDict) and '_metadata' in _require(dict, state):
        vars(target)['_metadata'] = OrderedDict(
            (path, {name: value for name, value in note.items() if name != _ASSIGN})
            for path, note in state['_metadata'].items()
        )
    return target


def _require(kind: type[Kind], value: object) -> Kind:
    if type(value) is not kind:
        raise TypeError(f'it has a {type(value).__name__} in place of a {kind.__name__}')
    return value


_MAKERS: dict[str, Callable] = {
    '_codecs.encode': _encode,
    'argparse.Namespace': Namespace,
    'builtins.bytearray': _make_bytearray,
    'builtins.bytes': _make_empty_bytes,
    'builtins.complex': partial(_make_of_numbers, complex),
    'builtins.frozenset': partial(_make_set, frozenset),
    'builtins.getattr': history.statistic_of,
    'builtins.set': partial(_make_set, set),
    'builtins.slice': partial(_make_of_numbers, slice),
    'collections.Counter': partial(_make_dict_of, Counter),
    'collections.OrderedDict': _make_ordered_dict,
    'collections.defaultdict': _make_default_dict,
    'numpy.dtype': make_dtype,
    'torch.Size': _make_size,
    'torch._tensor._rebuild_from_type_v2': make_of_type,
    'torch._utils._rebuild_meta_tensor_no_storage': unsupported('meta'),
    'torch._utils._rebuild_nested_tensor': unsupported('nested'),
    'torch._utils._rebuild_parameter': make_parameter,
    'torch._utils._rebuild_parameter_with_state': make_parameter,
    'torch._utils._rebuild_qtensor': unsupported('quantised'),
    'torch._utils._rebuild_sparse_csr_tensor': unsupported('sparse'),
    'torch._utils._rebuild_sparse_tensor': unsupported('sparse'),
    'torch._utils._rebuild_tensor': make_tensor,
    'torch._utils._rebuild_tensor_v2': make_tensor_v2,
    'torch._utils._rebuild_tensor_v3': make_tensor_v3,
    'torch.device': _make_device,
    'torch.serialization._get_layout': unsupported('sparse'),
    history.CLASS: history.UnfinishedHistory,
}
_MAKERS |= {name: partial(_make_dict_of, dict) for name in _DICT_CLASSES}
for _core in ('numpy.core', 'numpy._core'):  # of NumPy 1 and 2
    _MAKERS[f'{_core}.multiarray._reconstruct'] = make_array
    _MAKERS[f'{_core}.multiarray.scalar'] = make_number
    _MAKERS[f'{_core}.numeric._frombuffer'] = make_from_buffer
for _module in ('pathlib', 'pathlib._local'):  # the latter in Python 3.13
    for _kind, _classes in (
        (PurePosixPath, ('PosixPath', 'PurePosixPath')),
        (PureWindowsPath, ('WindowsPath', 'PureWindowsPath')),
    ):
        _MAKERS |= {f'{_module}.{name}': partial(_make_path, _kind) for name in _classes}

_ONLY_NAMED = (
    *(_FACTORIES.keys() - _MAKERS.keys()),
    'numpy.ndarray', 'torch.Tensor', 'torch.nn.parameter.Parameter',
    'torch.per_channel_affine', 'torch.per_tensor_affine',
)  # fmt: skip

NAMES: Mapping[str, object] = {
    **{name: Named(name) for name in _ONLY_NAMED},
    **{name: Named(name, make) for name, make in _MAKERS.items()},
    **history.STATISTICS,
    **DTYPES,
    **STORAGE_TYPES,
}

BUILDERS: Mapping[type, Callable] = {
    Namespace: _set_attributes,
    OrderedDict: _set_metadata,
    UnfinishedArray: finish_array,
    UnfinishedDtype: finish_dtype,
    dict: _set_metadata,
    history.UnfinishedHistory: history.finish_history,
}
