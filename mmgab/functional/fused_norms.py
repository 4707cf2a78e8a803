"""Layers that keep their inputs for backward, and compute norms and activations again.

What stands before a linear layer in a transformer is a norm or an activation: cheap to compute,
wide to keep. Backward computes it again from what is kept anyway or is narrower.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

from .derivatives import is_backward_differentiated


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
    return _NormedLinear.apply(normed.dtype, *_autocast(normed, weight, bias), *norm)


def feed_forward(
    normed: Tensor,
    norm: NormInputs | None,
    weights: tuple[Tensor, Tensor],
    biases: tuple[Tensor | None, Tensor | None],
    keep_hidden: bool = True,
) -> Tensor:
    """Apply linear layer, exact GELU and linear layer to a layer norm's output.

    Args:
        normed: ``(..., C)``, what the norm made of its inputs.
        norm: Those inputs, kept for backward; may be None without gradients.
        weights: ``(D, C)`` and ``(C, D)``.
        biases: ``(D,)`` and ``(C,)``, each may be None.
        keep_hidden: Keep what the first layer makes, ``(..., D)``, as well. Without, backward has
            one more product to compute, a third of the forward pass.

    Returns:
        ``(..., C)``.
    """
    (expand, contract), (expand_bias, contract_bias) = weights, biases
    if not torch.is_grad_enabled():
        hidden = F.linear(normed, expand, expand_bias)
        return F.linear(torch.ops.aten.gelu_(hidden), contract, contract_bias)
    tensors = _autocast(normed, expand, expand_bias, contract, contract_bias)
    return _FeedForward.apply(keep_hidden, normed.dtype, *tensors, *norm)


class _NormedLinear(Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        norm_dtype: torch.dtype,
        normed: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        *norm: Tensor | float | None,
    ) -> Tensor:
        *tensors, ctx.eps = norm
        ctx.save_for_backward(weight, *tensors)
        ctx.norm_dtype = norm_dtype
        return F.linear(normed, weight, bias)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, *norm = ctx.saved_tensors
        _, needs_normed, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        grad_weight = None
        if needs_weight:
            grad_weight = _weight_grad(grad, NormInputs(*norm, ctx.eps).norm(ctx.norm_dtype))
        grad_normed = grad @ weight if needs_normed else None
        return None, grad_normed, grad_weight, _bias_grad(grad) if needs_bias else None, *[None] * 4


class _FeedForward(Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        keep_hidden: bool,
        norm_dtype: torch.dtype,
        normed: Tensor,
        expand: Tensor,
        expand_bias: Tensor | None,
        contract: Tensor,
        contract_bias: Tensor | None,
        *norm: Tensor | float | None,
    ) -> Tensor:
        *tensors, ctx.eps = norm
        hidden = F.linear(normed, expand, expand_bias)
        kept = hidden if keep_hidden else None
        ctx.save_for_backward(expand, expand_bias, contract, kept, *tensors)
        ctx.norm_dtype = norm_dtype
        return F.linear(F.gelu(hidden), contract, contract_bias)

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        expand, expand_bias, contract, hidden, *norm = ctx.saved_tensors
        needs_normed, needs_expand, needs_bias, needs_contract, needs_last = ctx.needs_input_grad[
            2:7
        ]
        is_differentiated = is_backward_differentiated(grad)
        normed = NormInputs(*norm, ctx.eps).norm(ctx.norm_dtype).to(grad.dtype)
        if hidden is None or is_differentiated:  # what was kept has no history
            hidden = F.linear(normed, expand, expand_bias)
        activated = F.gelu(hidden)
        grad_contract = _weight_grad(grad, activated) if needs_contract else None
        if is_differentiated:
            grad_hidden = torch.ops.aten.gelu_backward(grad @ contract, hidden)
        else:
            # In the place of what is no longer needed: on a CPU, new memory costs as much as sums.
            grad_hidden = torch.matmul(grad, contract, out=activated)
            torch.ops.aten.gelu_backward.grad_input(grad_hidden, hidden, grad_input=grad_hidden)
        return (
            None,
            None,
            grad_hidden @ expand if needs_normed else None,
            _weight_grad(grad_hidden, normed) if needs_expand else None,
            _bias_grad(grad_hidden) if needs_bias else None,
            grad_contract,
            _bias_grad(grad) if needs_last else None,
            *[None] * 4,
        )


def _autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Tensors in the precision in which a linear layer computes.

    Done by hand where they are kept for backward: there, autocast would cast them once more.
    """
    device = tensors[0].device.type
    # Asked of a device that has none, such as meta, autocast raises an error.
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    # Double precision autocast leaves as it is.
    return tuple(
        tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(dtype)
        for tensor in tensors
    )


def _weight_grad(grad: Tensor, x: Tensor) -> Tensor:
    return _rows(grad).t() @ _rows(x.to(grad.dtype))


def _bias_grad(grad: Tensor) -> Tensor:
    return _rows(grad).sum(dim=0)


def _rows(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1])  # flatten() is not for batches of gradients
