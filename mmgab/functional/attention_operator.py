"""Window attention as a custom torch operator that saves its inputs for backward.

Partitioned windows, and attention weights unless they are to be kept, are computed again in
backward. (PyTorch's own SDPA saves the weights on a CPU because the bias requires a gradient.) As a
custom operator it is one node to ``torch.compile``, which need not trace how windows follow from
the image size. On a CPU it is unfused, in chunks of windows, which is faster than SDPA there.

Double backward recomputes attention in differentiable operators. ``torch.func`` transforms and
forward-mode differentiation do not support the operator, so callers check
:func:`~.tracing.is_transformed` first.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .relative_position import in_dtype
from .tracing import (
    OperatorContext,
    differentiable_grads,
    is_backward_differentiated,
    own_precision,
)
from .windows import (
    WindowOrder,
    heads_first,
    is_in_chunks,
    mask_bias,
    number_of_windows,
    split_heads,
    tokens_first_,
    window_chunks,
    window_order,
)


def window_attention(
    qkv: Tensor,
    padding: Tensor | None,
    bias: Tensor,
    grid: Sequence[int],
    window_size: Sequence[int],
    shift: Sequence[int],
    scale: float,
    keeps_weights: bool = False,
) -> Tensor:
    """Compute attention inside every window of a token grid, as one operator.

    Args:
        qkv: Queries, keys and values of all tokens ``(B * H * W, 3 * C)``.
        padding: Query, key and value of a padding token, ``(3 * C,)``; None for zeros.
        bias: ``(heads, N, N)``, query before key, in logits.
        grid: ``B``, ``H`` and ``W``.
        window_size: Height and width of a window.
        shift: Rows and columns by which windows are shifted.
        scale: Factor on the scores, before the bias.
        keeps_weights: Save the attention weights for backward, where backward would compute them
            again; on a CPU only.

    Returns:
        ``(B * H * W, C)``.
    """
    geometry = list(grid), list(window_size), list(shift), scale
    return window_attention_operator(qkv, padding, bias, *geometry, keeps_weights)[0]


@torch.library.custom_op('mmgab::window_attention', mutates_args=())
def window_attention_operator(
    qkv: Tensor,
    padding: Tensor | None,
    bias: Tensor,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    scale: float,
    keeps_weights: bool,
) -> tuple[Tensor, Tensor]:
    """Compute :func:`window_attention`: in chunks on a CPU, otherwise SDPA for each mask.

    Returns:
        Tokens ``(B * H * W, C)``, and weights ``(windows, heads, N, N)`` or an empty tensor.
    """
    order = _order(grid, window_size, shift, qkv)
    windows, heads = order.to_windows(qkv, padding), len(bias)
    # Detached: for a bias that requires a gradient, SDPA would save the probabilities.
    bias = in_dtype(bias.detach(), qkv.dtype)
    is_chunked = is_in_chunks(qkv, bias)
    kept = qkv.new_empty(len(windows) if keeps_weights and is_chunked else 0, *bias.shape)
    with own_precision(qkv):
        if not is_chunked:
            q, k, v = split_heads(windows, 3, heads)
            parts = []
            for group in order.groups:
                own = group.windows
                masked = mask_bias(bias, group.mask).expand(len(q[own]), -1, -1, -1)
                part = F.scaled_dot_product_attention(q[own], k[own], v[own], masked, scale=scale)
                parts.append(part.transpose(1, 2))  # (windows, N, heads, head_dim)
            return order.to_tokens(parts[0] if len(parts) == 1 else torch.cat(parts)), kept
        out = windows.new_empty(*windows.shape[:2], 1, heads, windows.shape[2] // 3 // heads)
        for chunk in window_chunks(windows, bias):
            q, k, v = heads_first(windows[chunk], 3, heads)
            weights = _scores(q, k, bias, order, chunk, scale).exp_()
            total = _row_sums(weights)
            if not _is_in_range(total, weights.dtype):
                weights, total = _shifted_exponentials(q, k, bias, order, chunk, scale)
            if len(kept):
                weights = torch.mul(weights, total.reciprocal_().to(q.dtype), out=kept[chunk])
            attended = weights @ v if len(kept) else (weights @ v).div_(total)
            tokens_first_(out[chunk], attended[None])
    return order.to_tokens(out), kept


@torch.library.custom_op('mmgab::window_attention_backward', mutates_args=())
def _window_attention_backward(
    grad: Tensor,
    qkv: Tensor,
    padding: Tensor | None,
    bias: Tensor,
    kept: Tensor,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of ``qkv``, ``padding`` and ``bias``.

    ``kept`` are the attention weights, or nothing, see :func:`window_attention_operator`.
    """
    order = _order(grid, window_size, shift, qkv)
    windows, grad_out = order.to_windows(qkv, padding), order.to_windows(grad, None)
    with own_precision(qkv):
        grad_windows, grad_bias = _window_gradients(
            grad_out, windows, in_dtype(bias, qkv.dtype), kept, order, scale
        )
    rows = grad_windows.flatten(0, 1)  # (P, 3 * C)
    grad_padding = rows.index_select(0, order.padding).sum(dim=0)
    return order.to_tokens(grad_windows), grad_padding, grad_bias.to(bias.dtype)


def _window_gradients(
    grad: Tensor, windows: Tensor, bias: Tensor, kept: Tensor, order: WindowOrder, scale: float
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of windows ``(windows, N, 3 * C)`` and of the bias."""
    heads, tokens, _ = bias.shape
    out = windows.new_empty(len(windows), tokens, 3, heads, windows.shape[2] // 3 // heads)
    grad_bias = bias.new_zeros(bias.shape, dtype=_sum_dtype(bias))
    for chunk in window_chunks(windows, bias):
        q, k, v = heads_first(windows[chunk], 3, heads)
        (grad_out,) = heads_first(grad[chunk], 1, heads)
        weights = kept[chunk] if len(kept) else _weights(q, k, bias, order, chunk, scale)
        grads = q.new_empty(3, *q.shape)
        torch.matmul(weights.transpose(-2, -1), grad_out, out=grads[2])
        grad_weights = grad_out @ v.transpose(-2, -1)
        grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
        grad_bias += grad_scores.sum(dim=0)
        grad_scores *= scale
        torch.matmul(grad_scores, k, out=grads[0])
        torch.matmul(grad_scores.transpose(-2, -1), q, out=grads[1])
        tokens_first_(out[chunk], grads)
    return out.flatten(2), grad_bias


@window_attention_operator.register_fake
def _(
    qkv: Tensor,
    padding: Tensor | None,
    bias: Tensor,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    scale: float,
    keeps_weights: bool,
) -> tuple[Tensor, Tensor]:
    out = qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)
    is_kept = keeps_weights and is_in_chunks(qkv, bias)
    windows = number_of_windows(grid, window_size) if is_kept else 0
    return out, qkv.new_empty(windows, *bias.shape)


@_window_attention_backward.register_fake
def _(
    grad: Tensor,
    qkv: Tensor,
    padding: Tensor | None,
    bias: Tensor,
    kept: Tensor,
    *geometry: object,
) -> tuple[Tensor, Tensor, Tensor]:
    return qkv.new_empty(qkv.shape), qkv.new_empty(qkv.shape[1]), bias.new_empty(bias.shape)


def _save(ctx: OperatorContext, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    qkv, padding, bias, *geometry, _ = inputs
    ctx.geometry = tuple(geometry)
    ctx.set_materialize_grads(False)  # of the weights
    ctx.save_for_backward(qkv, padding, bias, output[1])


def _backward(
    ctx: OperatorContext, grad: Tensor | None, _: Tensor | None
) -> tuple[Tensor | None, ...]:
    qkv, padding, bias, kept = ctx.saved_tensors
    if grad is None:
        return (None,) * 8
    if is_backward_differentiated(grad):
        grads = differentiable_grads(unfused_window_attention, ctx, (qkv, padding, bias), grad)
        return *grads, *[None] * 5
    grad_qkv, grad_padding, grad_bias = _window_attention_backward(
        grad, qkv, padding, bias, kept, *ctx.geometry
    )
    return grad_qkv, None if padding is None else grad_padding, grad_bias, *[None] * 5


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


window_attention_operator.register_autograd(_backward, setup_context=_save)


def _order(
    grid: list[int], window_size: list[int], shift: list[int], like: Tensor, by_kind: bool = True
) -> WindowOrder:
    batch, height, width = grid
    window, by = (window_size[0], window_size[1]), (shift[0], shift[1])
    return window_order(batch, (height, width), window, by, device=like.device, by_kind=by_kind)


def _scores(
    q: Tensor, k: Tensor, bias: Tensor, order: WindowOrder, chunk: slice, scale: float
) -> Tensor:
    """Compute scaled, biased and masked scores ``(windows, heads, N, N)`` of a chunk."""
    scores = q.new_empty(*q.shape[:3], q.shape[2])
    for group in order.groups:
        start = max(group.windows.start, chunk.start) - chunk.start
        stop = min(group.windows.stop, chunk.stop) - chunk.start
        if start < stop:
            scores[start:stop] = mask_bias(bias, group.mask)
    scores.flatten(0, 1).baddbmm_(q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=scale)
    return scores


def _row_sums(weights: Tensor) -> Tensor:
    return weights.sum(dim=-1, keepdim=True, dtype=_sum_dtype(weights))


def _is_in_range(total: Tensor, dtype: torch.dtype) -> bool:
    """Return True if exponentials of scores need no shift, from the sums of their rows.

    Then also weights far below the largest of their row are accurate. False for NaN.
    """
    (smallest, largest), limits = total.aminmax(), torch.finfo(dtype)
    return bool((limits.tiny**0.5 < smallest) & (largest < limits.max**0.5))


def _shifted_exponentials(*of_chunk: Any) -> tuple[Tensor, Tensor]:
    """Compute exponentials of :func:`_scores` minus the maximum of their row, and row sums.

    torch's search for the maxima takes as long as the rest of the attention of a chunk.
    """
    weights = _scores(*of_chunk)
    weights.sub_(weights.amax(dim=-1, keepdim=True)).exp_()
    return weights, _row_sums(weights)


def _weights(q: Tensor, k: Tensor, bias: Tensor, *others: Any) -> Tensor:
    """Compute attention weights ``(windows, heads, N, N)``, from the arguments of _scores."""
    of_chunk = (k, bias, *others)
    if not is_in_chunks(q, bias):  # elsewhere than on a CPU, looking at sums waits for the device
        return _scores(q, *of_chunk).softmax(dim=-1)
    weights = _scores(q, *of_chunk).exp_()
    total = _row_sums(weights)
    if not _is_in_range(total, weights.dtype):
        weights, total = _shifted_exponentials(q, *of_chunk)
    return weights.mul_(total.reciprocal_().to(weights.dtype))


def _sum_dtype(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)
