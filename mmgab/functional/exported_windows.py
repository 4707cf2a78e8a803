"""Attention inside windows, written for exporters: image and batch sizes may stay open.

The same as :func:`~.attention.attend_in_windows`, in operations whose shapes follow from those of
the input by arithmetic alone: nothing is looked up, nothing branches on a size. Numbers of tokens
are moved as the tokens are, not computed: quantisers turn sums of integers into floats. It costs a
mask of all windows, which a compiled graph makes on its way.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention_operator import Attend


def attend_in_exported_windows(
    parts: Sequence[Tensor],
    bias: Tensor,
    grid: tuple[int, int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
    attend: Attend,
) -> Tensor:
    """Attend inside every window.

    Args:
        parts: Queries, keys and values, each ``(B, H * W + 1, C)``, those of a token of padding
            last. Apart, because runtimes copy what is cut out of a tensor.
        bias: ``(heads, N, N)``, query before key, in logits.
        grid: ``B``, ``H`` and ``W``.
        window_size: Height and width of a window.
        shift: Rows and columns by which windows are shifted.
        attend: What is done inside them; gets ``(B, windows, heads, N, head_dim)``, and a mask
            ``(windows, 1, N, N)``.

    Returns:
        ``(B, H * W, C)``.
    """
    batch, height, width = grid
    (wh, ww), device = window_size, bias.device
    rows, cols = (height + wh - 1) // wh, (width + ww - 1) // ww  # windows
    windows, places = rows * cols, wh * ww

    # Token of every place in a window; places of padding take what stands last.
    y = torch.arange(rows * wh, device=device).roll(-shift[0], dims=0)
    x = torch.arange(cols * ww, device=device).roll(-shift[1], dims=0)
    y, x = y.view(rows, 1, wh, 1), x.view(1, cols, 1, ww)
    tokens = torch.arange(height * width, device=device).view(height, width)
    tokens = tokens[y.clamp(max=height - 1), x.clamp(max=width - 1)]  # (rows, cols, Wh, Ww)
    tokens = torch.where((y >= height) | (x >= width), height * width, tokens)
    tokens = tokens.view(windows, places)
    mask = _in_other_rows(rows, wh, shift[0], device).view(rows, 1, wh, 1, wh, 1)
    mask = mask | _in_other_rows(cols, ww, shift[1], device).view(1, cols, 1, ww, 1, ww)
    mask = mask.view(windows, 1, places, places)

    # Heads are gathered one by one: that puts them before the tokens of a window, which costs less
    # than to transpose them there. From rows of one head of one token, all images in one: exporters
    # guard against divisions in any other view of open sides.
    heads, channels = len(bias), parts[0].shape[2] // len(bias)
    length = height * width + 1
    sources = torch.arange(batch * length * heads, device=device).view(batch, length, heads)
    sources = sources[:, tokens].transpose(2, 3)  # (B, windows, heads, N)
    q, k, v = (F.embedding(sources, _rows(part, channels)) for part in parts)
    out = attend(q, k, v, bias, mask)  # (B, windows, heads, N, head_dim)

    # Where each token went.
    y = torch.arange(rows * wh, device=device).roll(shift[0], dims=0)
    x = torch.arange(cols * ww, device=device).roll(shift[1], dims=0)
    y = y[torch.arange(height, device=device)][:, None]
    x = x[torch.arange(width, device=device)]
    targets = torch.arange(batch * windows * heads * places, device=device)
    targets = targets.view(batch, rows, cols, heads, wh, ww).permute(0, 3, 1, 2, 4, 5)
    targets = targets[:, :, y // wh, x // ww, y % wh, x % ww]  # (B, heads, H, W)
    targets = targets.permute(0, 2, 3, 1).reshape(batch, height * width, heads)
    return F.embedding(targets, _rows(out, channels)).flatten(2)  # from (B, H * W, heads, head_dim)


def _rows(x: Tensor, channels: int) -> Tensor:
    """All of a tensor as ``(rows, channels)``."""
    return x.reshape(-1).view(-1, channels)


def _in_other_rows(number: int, side: int, shift: int, device: torch.device) -> Tensor:
    """Which pairs of rows ``(windows, side, side)`` a cyclic shift brought from opposite edges."""
    is_wrapped = torch.arange(number * side, device=device) >= number * side - shift
    is_wrapped = is_wrapped.view(number, side)
    return is_wrapped[:, :, None] != is_wrapped[:, None, :]
