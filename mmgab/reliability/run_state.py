"""The numbers that a run resumes with: weights, buffers, averages, optimizers and schedules."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import torch
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.optim import Optimizer

from .finite_numbers import NamedTensors, named_floats
from .wrapped_model import unwrapped


def run_state(runner: Runner) -> NamedTensors:
    """Floating-point and complex tensors of what a checkpoint of a run holds, with their names.

    They are those of this process: buffers may differ from the other processes', and of the state
    of a ``ZeroRedundancyOptimizer`` each process has a share.

    Args:
        runner: A run whose training has been set up.
    """
    model = unwrapped(runner.model)
    names: dict[Tensor, str] = {p: name for name, p in model.named_parameters()}
    optimizers = optimizers_of(runner.optim_wrapper)
    return [
        *named_floats(model.state_dict()),
        *chain.from_iterable(
            named_floats(hook.ema_model.state_dict(), 'ema_state_dict')
            for hook in runner.hooks
            if isinstance(hook, EMAHook)
        ),
        *chain.from_iterable(_state(optimizer, names) for optimizer in optimizers),
        *_schedules(runner),
    ]


def saved_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Buffers of a model that are in its state dict, by name; not copies."""
    saved = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in saved}


def optimizers_of(wrapper: OptimWrapper) -> list[Optimizer]:
    """The optimizers inside a wrapper, which may hold several wrappers."""
    return [each.optimizer for each in wrappers_in(wrapper)]


def wrappers_in(wrapper: OptimWrapper) -> list[OptimWrapper]:
    """The wrappers of single optimizers: those that a wrapper holds, or itself."""
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _state(optimizer: Optimizer, names: Mapping[Tensor, str]) -> Iterator[tuple[str, Tensor]]:
    """State of each parameter, and learning rates."""
    if isinstance(optimizer, ZeroRedundancyOptimizer):
        states = optimizer.optim.state  # a share of it
    else:
        states = optimizer.state
    for parameter, state in states.items():
        name = names.get(parameter, 'a parameter outside the model')
        yield from ((f'{key} of {name}', tensor) for key, tensor in named_floats(state))
    yield 'learning rates', _numbers(g['lr'] for g in optimizer.param_groups if 'lr' in g)


def _schedules(runner: Runner) -> Iterator[tuple[str, Tensor]]:
    """Values that the next ones are computed from."""
    schedules = runner.param_schedulers or []
    if isinstance(schedules, dict):  # by the name of the optimizer
        schedules = list(chain.from_iterable(schedules.values()))
    for schedule in schedules:
        values = (*getattr(schedule, 'base_values', ()), *schedule.get_last_value())
        yield f'{schedule.param_name} of {type(schedule).__name__}', _numbers(values)


def _numbers(values: Iterable) -> Tensor:
    return torch.tensor([float(value) for value in values], dtype=torch.float64)
