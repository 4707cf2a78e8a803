"""Who looks on while a layer computes, and what may be kept then.

Operators with a backward of their own are for first derivatives in reverse mode, which training
takes. Gradient penalties, Hessians, per-sample gradients and forward-mode derivatives need plain
operators, each differentiable in its turn. Exporters need those that every runtime has.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

Maker = TypeVar('Maker', bound=Callable)


def is_transformed() -> bool:
    """Whether a transform of ``torch.func``, or forward-mode differentiation, is active."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def is_backward_differentiated(grad: Tensor) -> bool:
    """Whether a backward pass that got this gradient is differentiated itself, or is of a batch.

    That is ``create_graph=True`` and ``is_grads_batched=True``.
    """
    is_batch = torch._C._functorch.is_legacy_batchedtensor(grad)
    return torch.is_grad_enabled() or is_batch or is_transformed()


def is_exporting() -> bool:
    """Whether a graph is made that must do without this package's operators.

    ``torch.export`` and ``torch.jit.trace``, which older exporters and counters of operations use;
    not ``torch.compile``, which knows the operators, and says to be exporting as well.
    """
    is_program = torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling()
    return is_program or torch.jit.is_tracing()


def remember(maxsize: int) -> Callable[[Maker], Maker]:
    """Cache what a function of hashable arguments makes of tensors, the last ``maxsize`` results.

    A plain cache, and no buffers: those would be saved, or broadcast by DistributedDataParallel in
    every step. Results are made outside inference mode, since autograd refuses to save an inference
    tensor in a later training step. What is made while a graph is traced is not kept: it has no
    values. Nor is what a transform of ``torch.func`` sees, which belongs to it.
    """

    def decorate(make: Maker) -> Maker:
        @lru_cache(maxsize)
        def cached(*key: Hashable, **named: Hashable) -> object:
            with torch.inference_mode(False):
                return make(*key, **named)

        @wraps(make)
        def look_up(*key: Hashable, **named: Hashable) -> object:
            return make(*key, **named) if _is_traced() else cached(*key, **named)

        look_up.__dict__.update(cache_info=cached.cache_info, cache_clear=cached.cache_clear)
        return cast(Maker, look_up)  # it takes and returns what make does

    return decorate


def _is_traced() -> bool:
    is_fake = type(torch.empty(0)) is not Tensor
    is_graph = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return is_graph or is_fake or is_transformed()
