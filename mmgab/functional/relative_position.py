"""Relative positions inside a window: offsets, the index into a table of them, and its resize.

A table has one row for each offset ``(dy, dx)`` that two tokens of a window can have, ``dy`` from
``-(Wh - 1)`` to ``Wh - 1`` and within it ``dx`` from ``-(Ww - 1)`` to ``Ww - 1``: the row order of
every published Swin checkpoint.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def relative_offsets(window_size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Offset of every table row.

    Args:
        window_size: Height and width of the window, in tokens.
        device: Where the result is made.

    Returns:
        Float32 ``((2Wh-1)(2Ww-1), 2)``: ``(dy, dx)`` in tokens, in table order.
    """
    dy = torch.arange(1 - window_size[0], window_size[0], device=device, dtype=torch.float32)
    dx = torch.arange(1 - window_size[1], window_size[1], device=device, dtype=torch.float32)
    return torch.cartesian_prod(dy, dx)


def relative_position_index(window_size: tuple[int, int]) -> Tensor:
    """Table row of every pair of tokens of a window.

    Args:
        window_size: Height and width of the window, in tokens.

    Returns:
        Int64 ``(N, N)``, ``N = Wh * Ww``: entry ``[query, key]`` is the row of ``query - key``.
    """
    wh, ww = window_size
    y = torch.arange(wh).repeat_interleave(ww)  # (N,) row of each token
    x = torch.arange(ww).repeat(wh)  # (N,) column of each token
    dy = y[:, None] - y[None, :] + wh - 1  # (N, N), 0 .. 2Wh-2
    dx = x[:, None] - x[None, :] + ww - 1  # (N, N), 0 .. 2Ww-2
    return dy * (2 * ww - 1) + dx


def resize_table(table: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Resize a relative-position table to another window, bicubically as the stock backbones do.

    Args:
        table: ``((2Sh-1)(2Sw-1), heads)`` of the source window.
        source: Height and width of the window that the table was learned for.
        target: Height and width of the window that it is wanted for.

    Returns:
        ``((2Th-1)(2Tw-1), heads)``, the table itself where the windows are equal.
    """
    if source == target:
        return table
    heads = table.shape[1]
    grid = table.t().reshape(1, heads, 2 * source[0] - 1, 2 * source[1] - 1)
    size = (2 * target[0] - 1, 2 * target[1] - 1)
    return F.interpolate(grid, size=size, mode='bicubic').view(heads, -1).t().contiguous()


def square_window(table_rows: int) -> tuple[int, int] | None:
    """The square window whose table has that many rows, ``(2W-1)^2``; None if there is none."""
    side = math.isqrt(table_rows)
    if side * side != table_rows or side % 2 == 0:
        return None
    return ((side + 1) // 2,) * 2
