"""Attention inside windows, written for exporters: image and batch sizes may stay open.

The same as :func:`~.attention.attend_in_windows`, in operations whose shapes follow from those of
the input by arithmetic alone: nothing is looked up, nothing branches on a size. It costs a mask of
all windows, which a compiled graph makes on its way.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .attention import Attend


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
    # Row and column of every place, where they wrapped around, and where there is no token.
    y = torch.arange(rows * wh, device=device).roll(-shift[0], dims=0)
    x = torch.arange(cols * ww, device=device).roll(-shift[1], dims=0)
    y, x = y.view(rows, 1, wh, 1), x.view(1, cols, 1, ww)
    places = (rows * cols, wh * ww)
    # Places of padding take what stands last.
    is_padding = (y >= height) | (x >= width)
    tokens = torch.where(is_padding, height * width, y * width + x).reshape(-1)  # (P,)
    region = 2 * _is_wrapped(rows * wh, shift[0], device).view(rows, 1, wh, 1)
    region = (region + _is_wrapped(cols * ww, shift[1], device).view(1, cols, 1, ww)).view(places)
    mask = (region[:, :, None] != region[:, None, :])[:, None]  # (windows, 1, N, N)

    # Heads are gathered one by one: that puts them before the tokens of a window, which costs less
    # than to transpose them there. From rows of one head of one token, all images in one: exporters
    # guard against divisions in any other view of open sides.
    heads, channels = len(bias), parts[0].shape[2] // len(bias)
    image, head = torch.arange(batch, device=device), torch.arange(heads, device=device)
    sources = image.view(-1, 1, 1) * (height * width + 1) + tokens.view(places)
    sources = sources[:, :, None] * heads + head.view(-1, 1)  # (B, windows, heads, N)
    q, k, v = (F.embedding(sources, _rows(part, channels)) for part in parts)
    out = attend(q, k, v, bias, mask)  # (B, windows, heads, N, head_dim)

    # Where each token went.
    y, x = (
        torch.arange(height, device=device) - shift[0],
        torch.arange(width, device=device) - shift[1],
    )
    y, x = torch.where(y < 0, y + rows * wh, y), torch.where(x < 0, x + cols * ww, x)
    y, x = y.view(-1, 1), x.view(1, -1)
    window, place = y // wh * cols + x // ww, y % wh * ww + x % ww  # (H, W)
    targets = image.view(-1, 1) * (rows * cols) + window.reshape(-1)
    targets = (targets[..., None] * heads + head) * (wh * ww) + place.reshape(-1, 1)
    return F.embedding(targets, _rows(out, channels)).flatten(2)  # from (B, H * W, heads, head_dim)


def _rows(x: Tensor, channels: int) -> Tensor:
    """All of a tensor as ``(rows, channels)``."""
    return x.reshape(-1).view(-1, channels)


def _is_wrapped(side: int, shift: int, device: torch.device) -> Tensor:
    """1 for places that a cyclic shift brought from the opposite edge, 0 for the others."""
    return (torch.arange(side, device=device) >= side - shift).long()
