"""Layer norm followed by a linear layer, with the norm recomputed in backward to save memory.

The norm's output is cheap to compute and large to save. Backward recomputes it from the norm's
input, which is saved anyway. :func:`apply_norm` records its inputs as an attribute of its output,
and :func:`apply_linear` reads them, so a layer accepts normed tokens from any source.

The memory-saving path uses the modules' parameters directly instead of calling the modules. It
requires the exact classes without hooks. Any other module (another norm, LoRA, a pruned layer, a
hooked layer) is called normally.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.modules import module as every_module

from mmgab.functional import is_transformed

from .onednn_linear import fast_linear

Kind = TypeVar('Kind', bound=nn.Module)

_INPUTS = '_mmgab_norm_inputs'  # attribute of a norm's output


class NormInputs(NamedTuple):
    """Inputs of a layer norm over the last dimension, from which its output is recomputed.

    Attributes:
        x: ``(..., C)``.
        weight: ``(C,)`` or None.
        bias: ``(C,)`` or None.
        eps: Added to the variance.
    """

    x: Tensor
    weight: Tensor | None
    bias: Tensor | None
    eps: float

    def norm(self, dtype: torch.dtype) -> Tensor:
        """Recompute the norm's output in the given dtype."""
        x = self.x.to(dtype)
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


def normed_linear(normed: Tensor, norm: NormInputs, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a linear layer to a layer norm's output; backward recomputes the norm.

    Args:
        normed: Output of the norm, ``(..., C)``.
        norm: Inputs of the norm, saved for backward.
        weight: ``(D, C)``.
        bias: ``(D,)`` or None.

    Returns:
        ``(..., D)``.
    """
    return _NormedLinear.apply(normed.dtype, *autocast(normed, weight, bias), *norm)


class ReadsNormed(nn.Module):
    """Base of modules that accept normed tokens with the inputs recorded by :func:`apply_norm`."""


def apply_norm(norm: nn.Module, x: Tensor, *readers: nn.Module) -> Tensor:
    """Compute ``norm(x)`` and record its inputs on the output, for recomputation in backward.

    Args:
        norm: The norm.
        x: Tokens.
        readers: The modules that take the result. Nothing is recorded if one of them is not a
            :class:`ReadsNormed`, or is hooked, wrapped or compiled, because it may store, modify
            or trace the output.
    """
    normed = norm(x)
    if not (torch.is_grad_enabled() and has_lean_form(norm, nn.LayerNorm)):
        return normed
    if all(map(_is_plain_reader, readers)) and not normed.is_inference():
        inputs = NormInputs(x, norm.weight, norm.bias, norm.eps)
        setattr(normed, _INPUTS, (inputs, normed._version))
    return normed


def _is_plain_reader(module: nn.Module) -> bool:
    is_compiled = module._compiled_call_impl is not None
    return isinstance(module, ReadsNormed) and is_plain(module, type(module)) and not is_compiled


def norm_inputs(normed: Tensor) -> NormInputs | None:
    """Return the inputs recorded by :func:`apply_norm`; None after in-place changes."""
    inputs, version = getattr(normed, _INPUTS, (None, None))
    return inputs if inputs is None or version == normed._version else None


def apply_linear(linear: nn.Module, normed: Tensor) -> Tensor:
    """Compute ``linear(normed)``; backward recomputes the norm if its inputs are recorded."""
    if not has_lean_form(linear, nn.Linear):
        return linear(normed)
    if not torch.is_grad_enabled():
        return fast_linear(*autocast(normed, linear.weight, linear.bias))
    inputs = norm_inputs(normed)
    if inputs is None:
        return linear(normed)
    return normed_linear(normed, inputs, linear.weight, linear.bias)


def linear_parts(x: Tensor, linear: nn.Module, count: int) -> Sequence[Tensor]:
    """Compute ``linear(x)`` and split its channels into parts.

    An unmodified ``nn.Linear`` computes one product per part, because runtimes of exported graphs
    copy slices of a tensor.
    """
    if not is_plain(linear, nn.Linear):
        return linear(x).chunk(count, dim=-1)
    weights = linear.weight.chunk(count)
    biases: Sequence[Tensor | None] = [None] * count
    if linear.bias is not None:
        biases = linear.bias.chunk(count)
    return [F.linear(x, weight, bias) for weight, bias in zip(weights, biases, strict=True)]


def has_lean_form(module: nn.Module, kind: type[Kind]) -> TypeGuard[Kind]:
    """Return True if the memory-saving path may replace a call of the module.

    It is False for a modified module (:func:`is_plain`), while compiling or tracing, and under
    transforms that need standard operators (:mod:`mmgab.functional.tracing`).
    """
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return not is_traced and is_plain(module, kind) and not is_transformed()


def is_plain(module: nn.Module, kind: type[Kind]) -> TypeGuard[Kind]:
    """Return True if a module is unmodified: of this exact class, without hooks or patches.

    It is False for a subclass, with hooks on the module or on all modules, and with a replaced
    ``forward``.
    """
    return (
        type(module) is kind
        and 'forward' not in module.__dict__
        and not (module._forward_hooks or module._forward_pre_hooks)
        and not (module._backward_hooks or module._backward_pre_hooks)
        and not (every_module._global_forward_hooks or every_module._global_forward_pre_hooks)
        and not (every_module._global_backward_hooks or every_module._global_backward_pre_hooks)
    )


def is_off(dropout: nn.Module) -> bool:
    """Return True if a module is an unmodified ``nn.Dropout`` that is inactive."""
    return is_plain(dropout, nn.Dropout) and not (dropout.training and dropout.p > 0)


class NormContext(Protocol):
    """Autograd context passed from forward to backward; torch's own class declares less."""

    eps: float
    norm_dtype: torch.dtype
    saved_tensors: tuple[Any, ...]  # or None, as they were saved
    needs_input_grad: Sequence[bool]

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Save tensors for backward."""


class _NormedLinear(Function):
    @staticmethod
    def forward(
        ctx: NormContext,
        norm_dtype: torch.dtype,
        normed: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        x: Tensor,
        norm_weight: Tensor | None,
        norm_bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(weight, x, norm_weight, norm_bias)
        ctx.norm_dtype, ctx.eps = norm_dtype, eps
        return fast_linear(normed, weight, bias)

    @staticmethod
    def backward(ctx: NormContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, x, norm_weight, norm_bias = ctx.saved_tensors
        _, needs_normed, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        grad_weight = None
        if needs_weight:
            norm = NormInputs(x, norm_weight, norm_bias, ctx.eps)
            grad_weight = weight_grad(grad, norm.norm(ctx.norm_dtype))
        grad_normed = grad @ weight if needs_normed else None
        return None, grad_normed, grad_weight, bias_grad(grad) if needs_bias else None, *[None] * 4


def autocast(first: Tensor, *others: Tensor | None) -> tuple[Any, ...]:
    """Cast tensors to the dtype in which autocast runs a linear layer; None stays None.

    Cast explicitly because the tensors are saved for backward, where autocast would cast again.
    """
    tensors, device = (first, *others), first.device.type
    # is_autocast_enabled() raises an error for devices without autocast, such as meta.
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    # Autocast leaves double precision unchanged.
    return tuple(
        tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(dtype)
        for tensor in tensors
    )


def weight_grad(grad: Tensor, x: Tensor) -> Tensor:
    """Compute the gradient ``(D, C)`` of a linear layer's weight from ``(..., D)`` and input."""
    return _rows(grad).t() @ _rows(x.to(grad.dtype))


def bias_grad(grad: Tensor) -> Tensor:
    """Compute the gradient ``(D,)`` of a linear layer's bias from ``(..., D)``."""
    return _rows(grad).sum(dim=0)


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])  # flatten() is not for batches of gradients
