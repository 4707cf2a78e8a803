"""Window partition and its inverse for exported graphs with dynamic image and batch sizes.

The permutation is that of :mod:`~.windows`. All shapes follow from the input's shape by
arithmetic, without cached tensors or branches on a size. Token indices are gathered instead of
computed because quantisers turn integer sums into floats. The cost is a mask of all windows.
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
    """Partition queries, keys and values into windows.

    Args:
        parts: Queries, keys and values, each ``(B, H * W + 1, C)``; the last row belongs to a
            padding token. They are separate because runtimes copy slices of a tensor.
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
    # Token of every slot in a window; padding slots take the last row.
    y, x = window_coordinates(windows, window_size, shift, device)
    tokens = torch.arange(height * width, device=device).view(height, width)
    tokens = tokens[y.clamp(max=height - 1), x.clamp(max=width - 1)]  # (rows, cols, Wh, Ww)
    tokens = torch.where((y >= height) | (x >= width), height * width, tokens)
    tokens = tokens.view(windows[0] * windows[1], window_size[0] * window_size[1])
    mask = shift_mask(windows, window_size, shift, device)[:, None]

    # Heads are gathered one by one, which places them before the tokens of a window and is cheaper
    # than a transpose. A row is one head of one token over all images: exporters add guards on
    # divisions for any other view of dynamic sides.
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
    """Reverse windows ``(B, windows, heads, N, head_dim)`` to tokens ``(B, H * W, C)``."""
    (batch, height, width), (rows, cols) = grid, _windows(grid, window_size)
    (wh, ww), device = window_size, attended.device
    heads, channels = attended.shape[2], attended.shape[4]
    # Slot of each token.
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
    """Return the rows and columns of windows that cover a grid."""
    (_, height, width), (wh, ww) = grid, window_size
    return (height + wh - 1) // wh, (width + ww - 1) // ww


def _rows(x: Tensor, channels: int) -> Tensor:
    """View all elements of a tensor as ``(rows, channels)``."""
    return x.reshape(-1).view(-1, channels)
