"""Token grid to windows, and which tokens of a shifted window may see each other.

Sizes are ``(height, width)`` pairs in tokens.
"""

import torch
from torch import Tensor


def partition_windows(x: Tensor, window_size: tuple[int, int]) -> Tensor:
    """Cut a token grid into windows.

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
