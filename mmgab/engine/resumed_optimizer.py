"""The state of an optimizer that was read from a checkpoint, made fit for its kernels."""

import torch
from torch import Tensor
from torch.optim import Optimizer

# How a step is computed is the config's to say. Fused kernels look at no size and no stride.
_IMPLEMENTATION = ('fused', 'foreach', 'capturable', 'differentiable')
# What PyTorch's optimizers keep element by element.
_ELEMENTWISE = frozenset((
    'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'exp_inf', 'momentum_buffer', 'square_avg',
    'grad_avg', 'acc_delta', 'sum', 'ax', 'prev', 'step_size',
))  # fmt: skip


def settle_optimizer(optimizer: Optimizer, source: str) -> None:
    """Check and rearrange the state that an optimizer has loaded.

    Args:
        optimizer: With the state of a file.
        source: Path of the file, for messages.

    Raises:
        ValueError: If a part of the state has another shape than its parameter.
    """
    for group in optimizer.param_groups:
        group.update({k: optimizer.defaults[k] for k in _IMPLEMENTATION if k in optimizer.defaults})
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
