"""Detection of tracers, exporters and higher-order autograd, and a cache that is safe with them.

Custom autograd functions support first derivatives in reverse mode, which training needs. Gradient
penalties, Hessians, per-sample gradients and forward-mode derivatives need differentiable standard
operators. Exporters need operators that every runtime implements.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

Maker = TypeVar('Maker', bound=Callable)


def is_transformed() -> bool:
    """Return True if a ``torch.func`` transform or forward-mode differentiation is active."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def is_backward_differentiated(grad: Tensor) -> bool:
    """Return True in a backward pass with ``create_graph=True`` or ``is_grads_batched=True``."""
    is_batch = torch._C._functorch.is_legacy_batchedtensor(grad)
    return torch.is_grad_enabled() or is_batch or is_transformed()


def is_exporting() -> bool:
    """Return True while a graph is traced that must not contain this package's operators.

    This covers ``torch.export`` and ``torch.jit.trace``, which older exporters and FLOP counters
    use. It excludes ``torch.compile``, which supports the operators.
    """
    is_program = torch.compiler.is_exporting() and not torch.compiler.is_dynamo_compiling()
    return is_program or torch.jit.is_tracing()


def remember(maxsize: int) -> Callable[[Maker], Maker]:
    """Cache a function's ``maxsize`` most recently used results, by its hashable arguments.

    Buffers would be saved in checkpoints or broadcast by DistributedDataParallel in every step.
    Results are created outside inference mode because autograd cannot save inference tensors in a
    later training step. Results of a traced graph (which hold no values) or of a ``torch.func``
    transform are not cached.
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
