"""Wrappers around modules, as they appear in tensor names: compiled, distributed, sharded."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import accumulate

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from .conversion import known_names

# torch.compile, FSDP of PyTorch and of fairscale, activation checkpointing, Lightning's strategies:
# these names belong to them alone.
_WRAPPER = re.compile(
    r'(?<![^.])(_orig_mod|_fsdp_wrapped_module|_fpw_module|_checkpoint_wrapped_module'
    r'|_forward_module)\.'
)
# DistributedDataParallel and DataParallel. It is an ordinary child's name as well.
_MODULE = re.compile(r'(?<![^.])module\.')
_FIRST_MODULES = re.compile(r'^(module\.)+')
# Counters next to the ``module`` of PyTorch's and MMEngine's averaged models.
_COUNTERS = ('n_averaged', 'steps')
_MAX_DEPTH = 64  # of a wrapper in a name
_PARALLEL = (DataParallel, DistributedDataParallel)


def wrapper_stripper(names: Iterable[str]) -> Callable[[str], str]:
    """Make the function that strips wrappers from a checkpoint's names.

    ``module.`` is stripped at the start of a name. Further inside it is stripped where it holds a
    Swin, or a part of one, and has no siblings; then also from the Swin's neighbours that
    are in a ``module.`` completely.

    Args:
        names: Names of all tensors.
    """

    def strip(name: str) -> str:
        return _FIRST_MODULES.sub('', _WRAPPER.sub('', name))

    parallel = _parallel_paths({strip(name) for name in names})
    return lambda name: _without(strip(name), parallel)


def averaging_counters(names: Collection[str]) -> set[str]:
    """Return the counters of an averaged model; empty for any other model."""
    weights = [name for name in names if name not in _COUNTERS]
    is_averaged = weights and all(name.startswith('module.') for name in weights)
    return set(_COUNTERS).intersection(names) if is_averaged else set()


def path_without_wrappers(path: str) -> str:
    """Strip wrappers from a prefix, including every ``module.``."""
    return _MODULE.sub('', _WRAPPER.sub('', path))


def model_paths_without_wrappers(model: nn.Module) -> dict[str, str]:
    """Strip wrappers from a model's prefixes, based on the types of its modules.

    Returns:
        ``''``, ``'backbone.'``, ``'backbone._orig_mod.'``, ..., and each without wrappers.
    """
    paths = dict(model.named_modules(remove_duplicate=False))
    parallel = {f'{p}.module'.lstrip('.') for p, m in paths.items() if isinstance(m, _PARALLEL)}
    prefixes = (f'{path}.' if path else '' for path in paths)
    return {prefix: _WRAPPER.sub('', _without(prefix, parallel)) for prefix in prefixes}


def model_names_without_wrappers(model: nn.Module) -> dict[str, str]:
    """Map each key of a model without wrappers to the key with wrappers."""
    prefixes, names = model_paths_without_wrappers(model), {}
    for name in model.state_dict():
        path, dot, last = name.rpartition('.')
        prefix = path + dot  # of a module, but for a hook that has renamed it
        names[prefixes.get(prefix, _WRAPPER.sub('', prefix)) + last] = name
    return names


def named_as(names: Collection[str], own: Collection[str]) -> dict[str, str]:
    """Match keys of a file and a model that differ only in ``module.``.

    Args:
        names: The file's.
        own: The model's.

    Returns:
        Every name, and the model's for it; the same name where the model has none, or where
        another name of the file would be the same.
    """
    bare = {name: path_without_wrappers(name) for name in names if name not in own}
    counts = Counter(bare.values())
    theirs = {path_without_wrappers(name): name for name in own if name not in names}
    found = {n: theirs[b] for n, b in bare.items() if counts[b] == 1 and b in theirs}
    return {name: found.get(name, name) for name in names}


def _parallel_paths(names: Collection[str]) -> set[str]:
    """Paths that end in a ``module`` which is a wrapper, see :func:`wrapper_stripper`."""
    if not any(_MODULE.search(name) for name in names):
        return set()
    bare = {path_without_wrappers(name): name for name in names}
    counts = Counter(path for name in names for path in _paths(name))
    alone = {path for path in counts if _is_alone(path, counts)}
    around_swins = {path for own in known_names(bare) for path in _paths(bare[own])} & alone
    levels = {_level(path) for path in around_swins}
    return around_swins | {path for path in alone if _level(path) in levels}


def _paths(name: str) -> list[str]:
    """``a`` and ``a.b`` for ``a.b.weight``."""
    return list(accumulate(name.split('.', _MAX_DEPTH)[:-1], '{}.{}'.format))


def _is_alone(path: str, counts: Counter) -> bool:
    """Return True if a path ends in a ``module`` without siblings."""
    parent, _, child = path.rpartition('.')
    return child == 'module' and counts[path] == counts[parent]


def _level(path: str) -> str:
    """Path of the module whose child is wrapped: ``a`` for ``a.backbone.module``."""
    return path.rpartition('.')[0].rpartition('.')[0]


def _without(name: str, paths: Collection[str]) -> str:
    """Drop the last part of every given path from a name."""
    if not paths:
        return name
    parts = name.split('.', _MAX_DEPTH)
    kept = [part for part, path in zip(parts, _paths(name), strict=False) if path not in paths]
    return '.'.join([*kept, parts[-1]])
