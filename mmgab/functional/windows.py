"""Token grid to windows and back, and which tokens of a shifted window may see each other.

Sizes are ``(height, width)`` pairs in tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(x: Tensor, window_size: tuple[int, int]) -> Tensor:
    """Pad the lower and right edge with zeros until whole windows fit.

    Args:
        x: Tokens ``(B, H, W, C)``.
        window_size: Height and width of a window.

    Returns:
        Tokens ``(B, Hp, Wp, C)``, ``Hp`` and ``Wp`` the next multiples of the window.
    """
    pad_h = -x.shape[1] % window_size[0]
    pad_w = -x.shape[2] % window_size[1]
    if pad_h == 0 and pad_w == 0:
        return x
    return F.pad(x, (0, 0, 0, pad_w, 0, pad_h))


def partition_windows(x: Tensor, window_size: tuple[int, int]) -> Tensor:
    """Cut a token grid into windows; undone by :func:`merge_windows`.

    Args:
        x: Tokens ``(B, H, W, C)``, ``H`` and ``W`` multiples of the window.
        window_size: Height and width of a window.

    Returns:
        Windows ``(B * num_windows, Wh * Ww, C)``, row-major within an image and within a window.
    """
    batch, height, width, channels = x.shape
    wh, ww = window_size
    x = x.view(batch, height // wh, wh, width // ww, ww, channels)
    return x.transpose(2, 3).reshape(-1, wh * ww, channels)  # (B * nW, N, C)


def merge_windows(windows: Tensor, window_size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Put windows back into a token grid; undoes :func:`partition_windows`.

    Args:
        windows: ``(B * num_windows, Wh * Ww, C)``.
        window_size: Height and width of a window.
        grid: Height and width of the token grid, multiples of the window.

    Returns:
        Tokens ``(B, H, W, C)``.
    """
    (height, width), (wh, ww) = grid, window_size
    # The batch stays -1: a number here would be baked into a traced or exported graph.
    x = windows.view(-1, height // wh, width // ww, wh, ww, windows.shape[-1])
    return x.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])


def shift_mask(
    grid: tuple[int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
    device: torch.device | None = None,
) -> Tensor:
    """Which pairs of tokens a cyclic shift brought into one window from opposite edges.

    Rolling by ``shift`` wraps the first rows and columns around into the last windows, where they
    meet tokens they do not touch in the image (Swin Transformer, arXiv 2103.14030, Figure 4).

    Args:
        grid: Height and width of the padded token grid.
        window_size: Height and width of a window.
        shift: Rows and columns of the cyclic shift.
        device: Where the mask is made.

    Returns:
        Boolean ``(num_windows, N, N)``, True where query and key must not see each other.
    """
    # A token wraps around in a row, in a column, in both or in neither: four regions.
    wrapped_rows = torch.arange(grid[0], device=device) >= grid[0] - shift[0]
    wrapped_cols = torch.arange(grid[1], device=device) >= grid[1] - shift[1]
    region = 2 * wrapped_rows[:, None].long() + wrapped_cols[None, :].long()  # (H, W)
    region = partition_windows(region[None, :, :, None], window_size).squeeze(-1)  # (nW, N)
    return region[:, :, None] != region[:, None, :]
