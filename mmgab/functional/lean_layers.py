"""Layers that keep their inputs for backward, and compute norms and activations again.

What stands before a linear layer in a transformer is a norm or an activation: cheap to compute,
wide to keep. Backward computes it again from what is kept anyway or is narrower.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable


def normed_linear(
    x: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    eps: float,
    weight: Tensor,
    bias: Tensor | None,
) -> Tensor:
    """Apply a linear layer to a layer norm, keeping ``x`` for backward; once differentiable.

    Args:
        x: ``(..., C)``.
        norm_weight: ``(C,)``.
        norm_bias: ``(C,)``.
        eps: Added to the variance.
        weight: ``(D, C)``.
        bias: ``(D,)`` or None.

    Returns:
        ``(..., D)``.
    """
    return _NormedLinear.apply(x, norm_weight, norm_bias, eps, weight, bias)


def feed_forward(
    x: Tensor,
    norm_weight: Tensor,
    norm_bias: Tensor,
    eps: float,
    weights: tuple[Tensor, Tensor],
    biases: tuple[Tensor, Tensor],
    keep_hidden: bool = True,
) -> Tensor:
    """Apply layer norm, linear layer, exact GELU and linear layer; once differentiable.

    Args:
        x: ``(..., C)``, kept for backward.
        norm_weight: ``(C,)``.
        norm_bias: ``(C,)``.
        eps: Added to the variance.
        weights: ``(D, C)`` and ``(C, D)``.
        biases: ``(D,)`` and ``(C,)``.
        keep_hidden: Keep what the first layer makes, ``(..., D)``, as well. Without, backward has
            one more product to compute, a third of the forward pass.

    Returns:
        ``(..., C)``.
    """
    (expand, contract), (expand_bias, contract_bias) = weights, biases
    if not torch.is_grad_enabled():
        hidden = F.linear(
            F.layer_norm(x, norm_weight.shape, norm_weight, norm_bias, eps), expand, expand_bias
        )
        return F.linear(torch.ops.aten.gelu_(hidden), contract, contract_bias)
    return _FeedForward.apply(
        x, norm_weight, norm_bias, eps, expand, expand_bias, contract, contract_bias, keep_hidden
    )


class _NormedLinear(Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        eps: float,
        weight: Tensor,
        bias: Tensor | None,
    ) -> Tensor:
        normed, mean, rstd = _norm(x, norm_weight, norm_bias, eps)
        normed, weight, bias = _autocast(normed, weight, bias)
        ctx.save_for_backward(x, mean, rstd, norm_weight, norm_bias, weight)
        ctx.eps = eps
        return F.linear(normed, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, rstd, norm_weight, norm_bias, weight = ctx.saved_tensors
        *needs_norm, _, needs_weight, needs_bias = ctx.needs_input_grad
        grad_weight = None
        if needs_weight:
            normed = _norm(x, norm_weight, norm_bias, ctx.eps)[0]
            grad_weight = _weight_grad(grad, normed)
        grads_norm = (None, None, None)
        if any(needs_norm):
            grad_normed = grad @ weight.to(grad.dtype)
            grads_norm = _norm_grads(grad_normed, x, mean, rstd, norm_weight, norm_bias, needs_norm)
        return *grads_norm, None, grad_weight, _bias_grad(grad) if needs_bias else None


class _FeedForward(Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        norm_weight: Tensor,
        norm_bias: Tensor,
        eps: float,
        expand: Tensor,
        expand_bias: Tensor,
        contract: Tensor,
        contract_bias: Tensor,
        keep_hidden: bool,
    ) -> Tensor:
        normed, mean, rstd = _norm(x, norm_weight, norm_bias, eps)
        normed, expand, expand_bias = _autocast(normed, expand, expand_bias)
        contract, contract_bias = _autocast(contract, contract_bias)
        hidden = F.linear(normed, expand, expand_bias)
        kept = hidden if keep_hidden else None
        norm = (x, mean, rstd, norm_weight, norm_bias)
        ctx.save_for_backward(*norm, expand, expand_bias, contract, kept)
        ctx.eps = eps
        return F.linear(F.gelu(hidden), contract, contract_bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        *norm, expand, expand_bias, contract, hidden = ctx.saved_tensors
        x, _, _, norm_weight, norm_bias = norm
        *needs_norm, _, needs_expand, needs_bias, needs_contract, needs_last, _ = (
            ctx.needs_input_grad
        )
        normed = _norm(x, norm_weight, norm_bias, ctx.eps)[0].to(grad.dtype)
        if hidden is None:
            hidden = F.linear(normed, expand, expand_bias)
        activated = F.gelu(hidden)
        grad_contract = _weight_grad(grad, activated) if needs_contract else None
        # In the place of what is no longer needed: on a CPU, new memory costs as much as the sums.
        grad_hidden = torch.matmul(grad, contract, out=activated)
        torch.ops.aten.gelu_backward.grad_input(grad_hidden, hidden, grad_input=grad_hidden)
        grads_norm = (None, None, None)
        if any(needs_norm):
            grads_norm = _norm_grads(grad_hidden @ expand, *norm, needs_norm)
        return (
            *grads_norm,
            None,
            _weight_grad(grad_hidden, normed) if needs_expand else None,
            _bias_grad(grad_hidden) if needs_bias else None,
            grad_contract,
            _bias_grad(grad) if needs_last else None,
            None,
        )


def _autocast(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Tensors in the precision in which a linear layer computes.

    Done by hand where they are kept for backward: there, autocast would cast them once more.
    """
    device = tensors[0].device.type
    if not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(None if tensor is None else tensor.to(dtype) for tensor in tensors)


def _norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Normed ``x``, and mean and inverse deviation of its rows."""
    return torch.native_layer_norm(_for_norm(x, weight), weight.shape, weight, bias, eps)


def _for_norm(x: Tensor, weight: Tensor) -> Tensor:
    """Tokens in a precision in which they can be normed.

    CPUs norm half precision with parameters of single precision, GPUs want one for both.
    """
    return x if x.device.type == 'cpu' else x.to(weight.dtype)


def _norm_grads(
    grad: Tensor,
    x: Tensor,
    mean: Tensor,
    rstd: Tensor,
    weight: Tensor,
    bias: Tensor,
    needs: list[bool],
) -> tuple[Tensor | None, ...]:
    x = _for_norm(x, weight)
    return torch.ops.aten.native_layer_norm_backward(
        grad.to(x.dtype), x, weight.shape, mean, rstd, weight, bias, needs
    )


def _weight_grad(grad: Tensor, x: Tensor) -> Tensor:
    return grad.flatten(0, -2).t() @ x.to(grad.dtype).flatten(0, -2)


def _bias_grad(grad: Tensor) -> Tensor:
    return grad.flatten(0, -2).sum(dim=0)
