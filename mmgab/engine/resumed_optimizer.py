"""The state of an optimizer in a checkpoint, checked and made fit for its kernels."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

# How a step is computed is the config's to say. Fused kernels look at no size and no stride.
IMPLEMENTATION = ('fused', 'foreach', 'capturable', 'differentiable')
# What PyTorch's optimizers keep element by element.
_ELEMENTWISE = frozenset((
    'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'exp_inf', 'momentum_buffer', 'square_avg',
    'grad_avg', 'acc_delta', 'sum', 'ax', 'prev', 'step_size',
))  # fmt: skip
# Settings that PyTorch adds to the groups of older files.
_ADDED = {*IMPLEMENTATION, 'maximize', 'amsgrad', 'nesterov', 'decoupled_weight_decay'}


def check_optimizer(optimizer: Optimizer, state: Mapping, source: str) -> None:
    """Check that the state in a file is one of the same optimizer and the same parameter groups.

    Args:
        optimizer: Of the config, before it loads the state.
        state: Of the file.
        source: Path of the file, for messages.

    Raises:
        ValueError: If it is of another one.
    """
    kind, new_run = type(optimizer).__name__, 'load_from starts a new run from its weights'
    saved, groups = state.get('param_groups'), optimizer.param_groups
    if not isinstance(saved, list) or not all(isinstance(group, Mapping) for group in saved):
        raise ValueError(f'{source} cannot be resumed from: its optimizer has no param_groups')
    sizes = [[len(group.get('params', ())) for group in each] for each in (saved, groups)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f'{source} cannot be resumed from: its optimizer has {len(saved)} parameter groups '
            f'with {sum(sizes[0])} parameters, that of the config ({kind}) has {len(groups)} with '
            f'{sum(sizes[1])}, or groups them differently (optim_wrapper.paramwise_cfg, frozen '
            f'layers). {new_run}'
        )
    missing = sorted(
        {key for group in saved for key in optimizer.defaults.keys() - group.keys()} - _ADDED
    )
    if missing:
        raise ValueError(
            f'{source} cannot be resumed from: its optimizer is not a {kind} (it has no '
            f'{", ".join(missing)}). {new_run}'
        )


def settle_optimizer(optimizer: Optimizer, source: str) -> None:
    """Check and rearrange the state that an optimizer has loaded.

    Args:
        optimizer: With the state of a file.
        source: Path of the file, for messages.

    Raises:
        ValueError: If a part of the state has another shape than its parameter.
    """
    for group in optimizer.param_groups:
        group.update({k: optimizer.defaults[k] for k in IMPLEMENTATION if k in optimizer.defaults})
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if key in _ELEMENTWISE and isinstance(value, Tensor):
                state[key] = _fitted(parameter, key, value, source)


def _fitted(parameter: Tensor, key: str, value: Tensor, source: str) -> Tensor:
    if value.shape != parameter.shape:
        raise ValueError(
            f'{source} cannot be resumed from: {key} of the optimizer has the shape '
            f'{tuple(value.shape)}, its parameter {tuple(parameter.shape)}'
        )
    if value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value)
