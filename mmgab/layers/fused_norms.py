"""A layer norm and the linear layer behind it, of which backward keeps less.

What stands before a linear layer in a transformer is cheap to compute and wide to keep. Backward
computes a norm again from its input, which is kept anyway. Modules are called as they are:
:func:`apply_norm` notes on its result what it was made of, and :func:`apply_linear` reads that. So
a layer takes normed tokens from anywhere.

The lean form computes with the modules' parameters and does not call them. It is taken for these
very classes alone, with nothing hooked to them. Everything else is called as it is: another norm,
LoRA, a pruned layer, a hook on features.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeGuard, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.modules import module as every_module

from mmgab.functional import is_transformed

Kind = TypeVar('Kind', bound=nn.Module)

_INPUTS = '_mmgab_norm_inputs'  # attribute of a norm's output


class NormInputs(NamedTuple):
    """Inputs of a layer norm over the last dimension, from which its output is computed again.

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
        """Compute the output, in the precision that it had."""
        x = self.x.to(dtype)
        return F.layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


def normed_linear(normed: Tensor, norm: NormInputs, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a linear layer to a layer norm's output, keeping the norm's inputs for backward.

    Args:
        normed: ``(..., C)``, what the norm made of its inputs.
        norm: Those inputs.
        weight: ``(D, C)``.
        bias: ``(D,)`` or None.

    Returns:
        ``(..., D)``.
    """
    return _NormedLinear.apply(normed.dtype, *autocast(normed, weight, bias), *norm)


class ReadsNormed(nn.Module):
    """A module that takes normed tokens, and what :func:`apply_norm` notes on them."""


def apply_norm(norm: nn.Module, x: Tensor, *readers: nn.Module) -> Tensor:
    """``norm(x)``, noting on it ``x``, from which backward can compute it again.

    Args:
        norm: The norm.
        x: Tokens.
        readers: The modules that take the result. Nothing is noted where one is not of ours, or is
            hooked to, wrapped or compiled: others may keep, change or trace what they see.
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
    """What :func:`apply_norm` noted; None if nothing, or if the output was changed in place."""
    inputs, version = getattr(normed, _INPUTS, (None, None))
    return inputs if inputs is None or version == normed._version else None


def apply_linear(linear: nn.Module, normed: Tensor) -> Tensor:
    """``linear(normed)``, of which backward keeps what :func:`apply_norm` noted, if it did."""
    inputs = norm_inputs(normed)
    if inputs is None or not has_lean_form(linear, nn.Linear):
        return linear(normed)
    return normed_linear(normed, inputs, linear.weight, linear.bias)


def linear_parts(x: Tensor, linear: nn.Module, count: int) -> Sequence[Tensor]:
    """``linear(x)``, its channels cut into parts.

    Of a plain layer, a product for each: runtimes of exported graphs copy what is cut out of a
    tensor.
    """
    if not is_plain(linear, nn.Linear):
        return linear(x).chunk(count, dim=-1)
    weights = linear.weight.chunk(count)
    biases: Sequence[Tensor | None] = [None] * count
    if linear.bias is not None:
        biases = linear.bias.chunk(count)
    return [F.linear(x, weight, bias) for weight, bias in zip(weights, biases, strict=True)]


def has_lean_form(module: nn.Module, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether a module is plain, and it is for us to decide what backward keeps of it.

    Never where ``torch.compile`` or an exporter looks on, which decides itself; nor where plain
    operators are needed, see :mod:`mmgab.functional.tracing`.
    """
    is_traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return not is_traced and is_plain(module, kind) and not is_transformed()


def is_plain(module: nn.Module, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether calling a module does what its class does, and nothing else.

    Not if it is of a subclass, something is hooked to it or to all modules, or something stands in
    the place of its ``forward``.
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
    """Whether a module is a plain dropout that drops nothing."""
    return is_plain(dropout, nn.Dropout) and not (dropout.training and dropout.p > 0)


class NormContext(Protocol):
    """What autograd hands from forward to backward; torch's own class declares less."""

    eps: float
    norm_dtype: torch.dtype
    saved_tensors: tuple[Any, ...]  # or None, as they were saved
    needs_input_grad: Sequence[bool]

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors."""


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
        return F.linear(normed, weight, bias)

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


def autocast(first: Tensor, *others: Tensor | None) -> tuple[Tensor | None, ...]:
    """Tensors in the precision in which a linear layer computes.

    Done by hand where they are kept for backward: there, autocast would cast them once more.
    """
    tensors, device = (first, *others), first.device.type
    # Asked of a device that has none, such as meta, autocast raises an error.
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    # Double precision autocast leaves as it is.
    return tuple(
        tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(dtype)
        for tensor in tensors
    )


def weight_grad(grad: Tensor, x: Tensor) -> Tensor:
    """Gradient ``(D, C)`` of a linear layer's weight, from ``(..., D)`` and its input."""
    return _rows(grad).t() @ _rows(x.to(grad.dtype))


def bias_grad(grad: Tensor) -> Tensor:
    """Gradient ``(D,)`` of a linear layer's bias, from ``(..., D)``."""
    return _rows(grad).sum(dim=0)


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])  # flatten() is not for batches of gradients
