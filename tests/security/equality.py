"""Compare values of checkpoints bit by bit."""

from argparse import Namespace

import numpy as np
import torch


def same(one, other):
    """Compare type by type; classes that are dicts with another access are dicts."""
    if isinstance(one, dict) and type(one).__module__ not in ('builtins', 'collections'):
        one = dict(one)
    if type(one) is not type(other):
        return False
    parts = [_parts(each) for each in (one, other)]
    if parts[0] is None:
        return one == other or one != one  # the latter for NaN
    return len(parts[0]) == len(parts[1]) and all(map(same, *parts))


def _parts(value):
    """Return the parts of a value to compare, as a list; None for numbers, strings and the like."""
    if isinstance(value, torch.Tensor):
        return [value.dtype, value.shape, value.stride(), value.requires_grad, _bits(value)]
    if isinstance(value, dict):
        return [*value.keys(), *value.values(), getattr(value, '_metadata', None)]
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return list(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return [value.dtype, value.shape, value.tobytes()]
    if isinstance(value, Namespace) or type(value).__name__ == 'HistoryBuffer':
        return [(k, v) for k, v in sorted(vars(value).items()) if k != 'statistics_methods']
    return None


def _bits(tensor):
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
