"""Global attention with a relative-position table, in memory linear in the number of tokens.

Queries are processed in tiles. The bias of a tile is a crop of the flipped table: with queries in
reverse order, query ``(y, x)`` and key ``(y', x')`` have the bias ``flipped[y + y', x + x']``. No
bias of all pairs and no index exist. Backward recomputes the probabilities of a tile and adds its
gradient to that of the table.

FlashAttention (arXiv 2205.14135) tiles without a bias. A bias given to PyTorch's SDPA is a tensor
of all pairs, and on a CPU it saves the probabilities if that tensor requires a gradient.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .relative_position import add_pairs_, in_dtype, pairs_of_table
from .tracing import (
    OperatorContext,
    differentiable_grads,
    is_backward_differentiated,
    own_precision,
)
from .windows import split_heads

_QUERIES = 256  # of a tile; its scores are heads * _QUERIES * H * W values an image


@dataclass(frozen=True)
class _Tile:
    """Consecutive queries, in reverse order, that form a rectangle of the grid.

    Attributes:
        rows: Rows of the grid.
        cols: Columns of the grid.
        queries: The same as a slice of tokens.
    """

    rows: slice
    cols: slice
    queries: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows.stop - self.rows.start, self.cols.stop - self.cols.start


@torch.library.custom_op('mmgab::tiled_attention', mutates_args=())
def tiled_attention(
    qkv: Tensor, table: Tensor | None, grid: list[int], heads: int, scale: float
) -> Tensor:
    """Compute global attention over a token grid.

    Args:
        qkv: Queries, keys and values of all tokens ``(B * H * W, 3 * C)``.
        table: Bias of every relative offset, ``((2H-1)(2W-1), heads)`` or ``(..., 1)`` shared by
            the heads, in logits; None for no bias.
        grid: ``B``, ``H`` and ``W``.
        heads: Attention heads.
        scale: Factor on the scores, before the bias.

    Returns:
        ``(B * H * W, C)``.
    """
    if table is None:
        q, k, v = split_heads(qkv.unflatten(0, (grid[0], -1)), 3, heads)
        with own_precision(qkv):
            out = F.scaled_dot_product_attention(q, k, v, scale=scale)
        return out.transpose(1, 2).reshape(qkv.shape[0], -1)
    q, k, v = _split(qkv, grid, heads)
    crops = _crops(in_dtype(table.detach(), qkv.dtype), grid)
    out = qkv.new_empty(len(q), q.shape[2], heads, q.shape[3])
    tiles = list(_tiles(grid))  # the largest first
    memory = qkv.new_empty(crops[:, tiles[0].rows, tiles[0].cols].numel())
    with own_precision(qkv):
        for tile in tiles:
            crop = crops[:, tile.rows, tile.cols]
            bias = memory[: crop.numel()].view(crop.shape).copy_(crop)
            bias = bias.flatten(3).flatten(1, 2).expand(1, heads, -1, -1)
            own = q[:, :, tile.queries]
            part = F.scaled_dot_product_attention(own, k, v, bias, scale=scale)
            out[:, tile.queries] = part.transpose(1, 2)
    return out.flip(1).view(qkv.shape[0], -1)


@torch.library.custom_op('mmgab::tiled_attention_backward', mutates_args=())
def _tiled_attention_backward(
    grad: Tensor, qkv: Tensor, table: Tensor | None, grid: list[int], heads: int, scale: float
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of ``qkv`` and ``table``; the latter is empty without a table."""
    q, k, v = (part.flatten(0, 1).contiguous() for part in _split(qkv, grid, heads))
    (grad_out,) = split_heads(grad.unflatten(0, (grid[0], -1)), 1, heads)
    grad_out = grad_out.flatten(0, 1).flip(1)  # (B * heads, N, head_dim)
    precise = torch.promote_types(qkv.dtype, torch.float32)
    grad_q = torch.empty_like(q)
    grad_k, grad_v = torch.zeros_like(k, dtype=precise), torch.zeros_like(v, dtype=precise)
    crops, grad_offsets = None, None
    if table is not None:
        crops = _crops(in_dtype(table, qkv.dtype), grid)
        sides = len(crops), 2 * grid[1] - 1, 2 * grid[2] - 1
        grad_offsets = qkv.new_zeros(sides, dtype=precise)

    with own_precision(qkv):
        for tile in _tiles(grid):
            own, own_grad = q[:, tile.queries], grad_out[:, tile.queries]
            weights = _scores(own, k, crops, tile, heads, scale).softmax(dim=-1)
            _add_product_(grad_v, weights.transpose(1, 2), own_grad)
            grad_weights = own_grad @ v.transpose(1, 2)
            grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            if grad_offsets is not None:
                pairs = grad_scores.view(-1, len(grad_offsets), *tile.shape, *grid[1:])
                pairs = pairs.sum(dim=0, dtype=precise)
                add_pairs_(grad_offsets, pairs, tile.rows.start, tile.cols.start)
            grad_q[:, tile.queries] = (grad_scores @ k).mul_(scale)
            _add_product_(grad_k, grad_scores.transpose(1, 2), own, scale)

    grads = grad_q.flip(1), grad_k.to(qkv.dtype), grad_v.to(qkv.dtype)
    parts = torch.stack(grads).unflatten(1, (grid[0], heads))
    grad_qkv = parts.permute(1, 3, 0, 2, 4).reshape(qkv.shape)
    if table is None or grad_offsets is None:
        return grad_qkv, qkv.new_empty(0)
    return grad_qkv, grad_offsets.flatten(1).t().flip(0).to(table.dtype)


@tiled_attention.register_fake
def _(qkv: Tensor, table: Tensor | None, *geometry: object) -> Tensor:
    return qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)


@_tiled_attention_backward.register_fake
def _(grad: Tensor, qkv: Tensor, table: Tensor | None, *geometry: object) -> tuple[Tensor, Tensor]:
    of_table = qkv.new_empty(0) if table is None else table.new_empty(table.shape)
    return qkv.new_empty(qkv.shape), of_table


def _save_inputs(ctx: OperatorContext, inputs: tuple, output: Tensor) -> None:
    qkv, table, *geometry = inputs
    ctx.geometry = tuple(geometry)
    ctx.save_for_backward(qkv, table)


def _backward(ctx: OperatorContext, grad: Tensor) -> tuple[Tensor | None, ...]:
    qkv, table = ctx.saved_tensors
    if is_backward_differentiated(grad):
        grads = differentiable_grads(_unfused_attention, ctx, (qkv, table), grad)
        return *grads, None, None, None
    grad_qkv, grad_table = _tiled_attention_backward(grad, qkv, table, *ctx.geometry)
    return grad_qkv, None if table is None else grad_table, None, None, None


def _unfused_attention(
    qkv: Tensor, table: Tensor | None, grid: list[int], heads: int, scale: float
) -> Tensor:
    """Compute :func:`tiled_attention` with all pairs, in differentiable operators."""
    q, k, v = split_heads(qkv.unflatten(0, (grid[0], -1)), 3, heads)
    scores = (q * scale) @ k.transpose(-2, -1)
    if table is not None:
        scores = scores + pairs_of_table(table, (grid[1], grid[2]))
    out = scores.softmax(dim=-1).to(q.dtype) @ v
    return out.transpose(1, 2).reshape(qkv.shape[0], -1)


tiled_attention.register_autograd(_backward, setup_context=_save_inputs)


def _split(qkv: Tensor, grid: list[int], heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries in reverse order, keys and values, ``(B, heads, N, head_dim)``."""
    q, k, v = split_heads(qkv.unflatten(0, (grid[0], -1)), 3, heads)
    return q.flip(2), k, v


def _crops(table: Tensor, grid: list[int]) -> Tensor:
    """View a table as the bias of all pairs, queries reversed: ``(heads, H, W, H, W)``."""
    height, width = grid[1:]
    offsets = table.flip(0).t().unflatten(1, (2 * height - 1, 2 * width - 1))
    return offsets.unfold(1, height, 1).unfold(2, width, 1)


def _tiles(grid: list[int]) -> Iterator[_Tile]:
    """Cut the queries into full rows or, where a row is longer than a tile, parts of a row."""
    height, width = grid[1:]
    rows, cols = max(1, _QUERIES // width), min(width, _QUERIES)
    for top in range(0, height, rows):
        for left in range(0, width, cols):
            bottom, right = min(top + rows, height), min(left + cols, width)
            queries = slice(top * width + left, (bottom - 1) * width + right)
            yield _Tile(slice(top, bottom), slice(left, right), queries)


def _scores(
    q: Tensor, k: Tensor, crops: Tensor | None, tile: _Tile, heads: int, scale: float
) -> Tensor:
    """Compute scaled and biased scores of a tile, ``(B * heads, queries, N)``."""
    if crops is None:
        return (q @ k.transpose(1, 2)).mul_(scale)
    scores = q.new_empty(q.shape[0], q.shape[1], k.shape[1])
    bias = crops[:, tile.rows, tile.cols]
    scores.view(-1, heads, *bias.shape[1:]).copy_(bias)
    return scores.baddbmm_(q, k.transpose(1, 2), alpha=scale)


def _add_product_(total: Tensor, a: Tensor, b: Tensor, scale: float = 1.0) -> None:
    """Add ``scale * a @ b`` to a total that may be more precise."""
    if total.dtype == a.dtype:
        total.baddbmm_(a, b, alpha=scale)
    else:
        total.add_(a @ b, alpha=scale)
