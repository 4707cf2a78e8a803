"""Tokens into windows and back, written for exporters: image and batch sizes may stay open.

The order of :mod:`~.windows`, in operations whose shapes follow from those of the input by
arithmetic alone: nothing is looked up, nothing branches on a size. Numbers of tokens are moved as
the tokens are, not computed: quantisers turn sums of integers into floats. It costs a mask of all
windows, which a compiled graph makes on its way.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .windows import shift_mask, window_coordinates


def to_exported_windows(
    parts: Sequence[Tensor],
    heads: int,
    grid: tuple[int, int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Put queries, keys and values in window order.

    Args:
        parts: Queries, keys and values, each ``(B, H * W + 1, C)``, those of a token of padding
            last. Apart, because runtimes copy what is cut out of a tensor.
        heads: Attention heads.
        grid: ``B``, ``H`` and ``W``.
        window_size: Height and width of a window.
        shift: Rows and columns by which windows are shifted.

    Returns:
        Queries, keys and values, each ``(B, windows, heads, N, head_dim)``, and the mask
        ``(windows, 1, N, N)``.
    """
    (batch, height, width), windows = grid, _windows(grid, window_size)
    device = parts[0].device
    # Token of every place in a window; places of padding take what stands last.
    y, x = window_coordinates(windows, window_size, shift, device)
    tokens = torch.arange(height * width, device=device).view(height, width)
    tokens = tokens[y.clamp(max=height - 1), x.clamp(max=width - 1)]  # (rows, cols, Wh, Ww)
    tokens = torch.where((y >= height) | (x >= width), height * width, tokens)
    tokens = tokens.view(windows[0] * windows[1], window_size[0] * window_size[1])
    mask = shift_mask(windows, window_size, shift, device)[:, None]

    # Heads are gathered one by one: that puts them before the tokens of a window, which costs less
    # than to transpose them there. From rows of one head of one token, all images in one: exporters
    # guard against divisions in any other view of open sides.
    length, channels = height * width + 1, parts[0].shape[2] // heads
    sources = torch.arange(batch * length * heads, device=device).view(batch, length, heads)
    sources = sources[:, tokens].transpose(2, 3)  # (B, windows, heads, N)
    q, k, v = (F.embedding(sources, _rows(part, channels)) for part in parts)
    return q, k, v, mask


def to_exported_tokens(
    attended: Tensor,
    grid: tuple[int, int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
) -> Tensor:
    """Put windows ``(B, windows, heads, N, head_dim)`` back as tokens ``(B, H * W, C)``."""
    (batch, height, width), (rows, cols) = grid, _windows(grid, window_size)
    (wh, ww), device = window_size, attended.device
    heads, channels = attended.shape[2], attended.shape[4]
    # Where each token went.
    back = (-shift[0], -shift[1])
    y, x = (side.flatten() for side in window_coordinates((rows, cols), window_size, back, device))
    y = y[torch.arange(height, device=device)][:, None]
    x = x[torch.arange(width, device=device)]
    targets = torch.arange(batch * rows * cols * heads * wh * ww, device=device)
    targets = targets.view(batch, rows, cols, heads, wh, ww).permute(0, 3, 1, 2, 4, 5)
    targets = targets[:, :, y // wh, x // ww, y % wh, x % ww]  # (B, heads, H, W)
    targets = targets.permute(0, 2, 3, 1).reshape(batch, height * width, heads)
    rows_of_heads = _rows(attended, channels)
    return F.embedding(targets, rows_of_heads).flatten(2)  # from (B, H * W, heads, head_dim)


def _windows(grid: tuple[int, int, int], window_size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of windows that cover a grid."""
    (_, height, width), (wh, ww) = grid, window_size
    return (height + wh - 1) // wh, (width + ww - 1) // ww


def _rows(x: Tensor, channels: int) -> Tensor:
    """All of a tensor as ``(rows, channels)``."""
    return x.reshape(-1).view(-1, channels)
