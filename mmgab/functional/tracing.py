"""Tracers, exporters, autocast and higher-order autograd, and a cache that is safe with them.

Custom autograd functions support first derivatives in reverse mode, which training needs. Gradient
penalties, Hessians, per-sample gradients and forward-mode derivatives need differentiable standard
operators. Exporters need operators that every runtime implements.
"""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, wraps
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor
from torch.autograd import forward_ad

Maker = TypeVar('Maker', bound=Callable)


class OperatorContext(Protocol):
    """Autograd context passed from forward to backward; torch's own class declares less."""

    geometry: tuple[Any, ...]  # the operator's arguments that are no tensors
    saved_tensors: tuple[Any, ...]  # or None, as they were saved
    needs_input_grad: Sequence[bool]

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Save tensors for backward."""

    def set_materialize_grads(self, value: bool) -> None:
        """Choose whether backward gets zeros or None for outputs without a gradient."""


def is_transformed() -> bool:
    """Return True if a ``torch.func`` transform or forward-mode differentiation is active."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def is_backward_differentiated(grad: Tensor) -> bool:
    """Return True in a backward pass with ``create_graph=True`` or ``is_grads_batched=True``."""
    is_batch = torch._C._functorch.is_legacy_batchedtensor(grad)
    return torch.is_grad_enabled() or is_batch or is_transformed()


def differentiable_grads(
    attend: Callable[..., Tensor],
    ctx: OperatorContext,
    tensors: Sequence[Tensor | None],
    grad: Tensor,
) -> list[Tensor | None]:
    """Compute gradients that are differentiable again.

    Args:
        attend: Attention in differentiable operators, with the operator's arguments.
        ctx: The operator's context.
        tensors: Its saved tensors, which checkpointing lets one read once.
        grad: Gradient of the output.
    """
    needs = ctx.needs_input_grad[: len(tensors)]
    with torch.enable_grad():
        # Views cut the graph between them: padding and qkv both depend on the projection's bias.
        views = [None if tensor is None else tensor.view_as(tensor) for tensor in tensors]
        given = zip(views, needs, strict=True)
        learned = [view for view, is_needed in given if is_needed and view is not None]
        out = attend(*views, *ctx.geometry)
        grads = torch.autograd.grad(out, learned, grad, create_graph=True, allow_unused=True)
    found = iter(grads)
    return [next(found) if is_needed else None for is_needed in needs]


def own_precision(like: Tensor) -> AbstractContextManager:
    """Disable autocast on the device of a tensor."""
    device = like.device.type
    is_known = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if is_known else nullcontext()


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
