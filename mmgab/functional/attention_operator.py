"""Window attention as a custom torch operator that saves only its inputs for backward.

Partitioned windows and attention probabilities are recomputed in backward. (PyTorch's own SDPA
saves the probabilities on a CPU because the bias requires a gradient.) As a custom operator it is
one node to ``torch.compile``, which need not trace how windows follow from the image size.

Double backward recomputes attention in differentiable operators. ``torch.func`` transforms and
forward-mode differentiation do not support the operator, so callers check
:func:`~.tracing.is_transformed` first.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from .tracing import is_backward_differentiated
from .windows import WindowOrder, window_order


class OperatorContext(Protocol):
    """Autograd context passed from forward to backward; torch's own class declares less."""

    geometry: tuple[Any, ...]  # the operator's arguments that are no tensors
    saved_tensors: tuple[Any, ...]  # or None, as they were saved
    needs_input_grad: Sequence[bool]

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Save tensors for backward."""


def mask_bias(bias: Tensor, mask: Tensor | None) -> Tensor:
    """Set a bias to minus infinity where a query must not attend to a key.

    Other Swin implementations add -100, which a large enough score can exceed.
    """
    return bias if mask is None else bias.masked_fill(mask, -math.inf)


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Split ``(windows, N, parts * heads * head_dim)`` into ``(windows, heads, N, head_dim)``."""
    return x.unflatten(2, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


@torch.library.custom_op('mmgab::window_attention', mutates_args=())
def window_attention(
    qkv: Tensor,
    padding: Tensor | None,
    bias: Tensor,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    scale: float,
) -> Tensor:
    """Compute fused attention (SDPA) inside every window, one group of equal masks at a time.

    Args:
        qkv: Queries, keys and values of all tokens ``(B * H * W, 3 * C)``.
        padding: Query, key and value of a padding token, ``(3 * C,)``; None for zeros.
        bias: ``(heads, N, N)``, query before key, in logits.
        grid: ``B``, ``H`` and ``W``.
        window_size: Height and width of a window.
        shift: Rows and columns by which windows are shifted.
        scale: Factor on the scores, before the bias.

    Returns:
        ``(B * H * W, C)``.
    """
    order = _order(grid, window_size, shift, qkv)
    q, k, v = split_heads(order.to_windows(qkv, padding), 3, len(bias))
    # Detached: for a bias that requires a gradient, SDPA would save the probabilities.
    bias = in_dtype(bias.detach(), qkv.dtype)
    parts = []
    with own_precision(qkv):
        for group in order.groups:
            own = group.windows
            masked = mask_bias(bias, group.mask).expand(len(q[own]), -1, -1, -1)
            part = F.scaled_dot_product_attention(q[own], k[own], v[own], masked, scale=scale)
            parts.append(part.transpose(1, 2))  # (windows, N, heads, head_dim)
    return order.to_tokens(parts[0] if len(parts) == 1 else torch.cat(parts))


@torch.library.custom_op('mmgab::window_attention_backward', mutates_args=())
def _window_attention_backward(
    grad: Tensor,
    qkv: Tensor,
    padding: Tensor | None,
    bias: Tensor,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of ``qkv``, ``padding`` and ``bias``."""
    order, heads = _order(grid, window_size, shift, qkv), len(bias)
    q, k, v = (part.contiguous() for part in split_heads(order.to_windows(qkv, padding), 3, heads))
    (grad_out,) = split_heads(order.to_windows(grad, None), 1, heads)

    with own_precision(qkv):
        weights = _scores(q, k, bias, order, scale).softmax(dim=-1)
        grad_qkv = qkv.new_empty(len(q), order.window_tokens, 3, heads, q.shape[-1])
        grad_q, grad_k, grad_v = grad_qkv.permute(2, 0, 3, 1, 4).unbind(0)
        grad_v.copy_(weights.transpose(-2, -1) @ grad_out)
        grad_weights = grad_out @ v.transpose(-2, -1)
        grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
        grad_bias = grad_scores.sum(dim=0).to(bias.dtype)
        grad_scores *= scale
        grad_q.copy_(grad_scores @ k)
        grad_k.copy_(grad_scores.transpose(-2, -1) @ q)

    rows = grad_qkv.flatten(2).flatten(0, 1)  # (P, 3 * C)
    grad_padding = rows.index_select(0, order.padding).sum(dim=0)
    return order.to_tokens(grad_qkv), grad_padding, grad_bias


@window_attention.register_fake
def _(qkv: Tensor, padding: Tensor | None, bias: Tensor, *geometry: object) -> Tensor:
    return qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)


@_window_attention_backward.register_fake
def _(
    grad: Tensor, qkv: Tensor, padding: Tensor | None, bias: Tensor, *geometry: object
) -> tuple[Tensor, Tensor, Tensor]:
    return qkv.new_empty(qkv.shape), qkv.new_empty(qkv.shape[1]), bias.new_empty(bias.shape)


def _save_inputs(ctx: OperatorContext, inputs: tuple, output: Tensor) -> None:
    qkv, padding, bias, grid, window_size, shift, scale = inputs
    ctx.geometry = grid, window_size, shift, scale
    ctx.save_for_backward(qkv, padding, bias)


def _backward(ctx: OperatorContext, grad: Tensor) -> tuple[Tensor | None, ...]:
    qkv, padding, bias = ctx.saved_tensors
    if is_backward_differentiated(grad):
        grads = differentiable_grads(unfused_window_attention, ctx, (qkv, padding, bias), grad)
        return *grads, None, None, None, None
    grad_qkv, grad_padding, grad_bias = _window_attention_backward(
        grad, qkv, padding, bias, *ctx.geometry
    )
    return grad_qkv, None if padding is None else grad_padding, grad_bias, None, None, None, None


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


def unfused_window_attention(
    qkv: Tensor,
    padding: Tensor | None,
    bias: Tensor,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    scale: float,
) -> Tensor:
    """Compute :func:`window_attention` unfused, in differentiable operators."""
    order = _order(grid, window_size, shift, qkv, by_kind=False)
    q, k, v = split_heads(order.to_windows(qkv, padding), 3, len(bias))
    scores = (q * scale) @ k.transpose(-2, -1) + mask_bias(bias, order.groups[0].mask)
    return order.to_tokens((scores.softmax(dim=-1).to(q.dtype) @ v).transpose(1, 2))


window_attention.register_autograd(_backward, setup_context=_save_inputs)


@register_flop_formula(torch.ops.mmgab.window_attention)
def _flops(
    qkv: list,
    padding: list | None,
    bias: list,
    grid: list,
    window_size: list,
    *_: object,
    **kw: object,
) -> int:
    return 2 * _matmul_flops(qkv, bias, grid, window_size)  # scores, values


@register_flop_formula(torch.ops.mmgab.window_attention_backward)
def _flops_backward(
    grad: list,
    qkv: list,
    padding: list | None,
    bias: list,
    grid: list,
    window_size: list,
    *_: object,
    **kw: object,
) -> int:
    return 5 * _matmul_flops(qkv, bias, grid, window_size)  # recomputed scores, four gradients


def _matmul_flops(qkv: list, bias: list, grid: list, window_size: list) -> int:
    """Count the FLOPs of all windows' scores: two for each pair of tokens and channel."""
    batch, height, width = grid
    windows = batch * math.ceil(height / window_size[0]) * math.ceil(width / window_size[1])
    return 2 * windows * bias[1] * bias[2] * (qkv[1] // 3)


def _order(
    grid: list[int], window_size: list[int], shift: list[int], like: Tensor, by_kind: bool = True
) -> WindowOrder:
    batch, height, width = grid
    window, by = (window_size[0], window_size[1]), (shift[0], shift[1])
    return window_order(batch, (height, width), window, by, device=like.device, by_kind=by_kind)


def _scores(q: Tensor, k: Tensor, bias: Tensor, order: WindowOrder, scale: float) -> Tensor:
    """Compute scaled, biased and masked scores ``(windows, heads, N, N)``."""
    windows, heads, tokens, _ = q.shape
    scores = q.new_empty(windows, heads, tokens, tokens)
    bias = in_dtype(bias, q.dtype)
    for group in order.groups:
        scores[group.windows] = mask_bias(bias, group.mask)
    products = scores.flatten(0, 1)
    products.baddbmm_(q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=scale)
    return scores


def own_precision(like: Tensor) -> AbstractContextManager:
    """Disable autocast on the device of a tensor."""
    device = like.device.type
    is_known = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if is_known else nullcontext()


def in_dtype(bias: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast a bias, clamped to half the dtype's range so that adding scores cannot overflow."""
    if bias.dtype == dtype:
        return bias
    limit = torch.finfo(dtype).max / 2
    return bias.clamp(-limit, limit).to(dtype)
