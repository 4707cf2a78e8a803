"""Absolute position embeddings for grids of any size."""

import math

import torch.nn.functional as F
from torch import Tensor


def resize_tokens(tokens: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Resize ``(1, Hs * Ws, C)`` to ``(1, Ht * Wt, C)`` bicubically; unchanged for equal sizes."""
    if tuple(source) == tuple(target):
        return tokens
    grid = tokens.transpose(1, 2).unflatten(2, source)  # (1, C, Hs, Ws)
    return F.interpolate(grid, size=target, mode='bicubic').flatten(2).transpose(1, 2)


def without_other_tokens(
    position: Tensor, count: int, grid: tuple[int, int], noted: tuple[int, int] | None = None
) -> Tensor:
    """Drop the rows of other tokens, such as a class token, from a position embedding.

    The embedding may or may not have such rows. Its length decides, compared with the grid in the
    file's metadata, the model's grid and a square grid, in this order.

    Args:
        position: ``(1, L, C)``.
        count: Number of other tokens in the file.
        grid: Height and width of the model's grid, in patches.
        noted: Grid in the file's metadata, or None.

    Returns:
        ``(1, L - count, C)``, or the unchanged embedding.
    """
    length = position.shape[1]
    for sides in filter(None, (noted, grid)):
        if length - count == math.prod(sides):
            return position[:, count:]
        if length == math.prod(sides):
            return position
    return position[:, count:] if _is_square(length - count) else position


def _is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


def fit_tokens(
    position: Tensor, grid: tuple[int, int], noted: tuple[int, int] | None = None
) -> tuple[Tensor, bool]:
    """Resize a saved position embedding to a grid.

    Args:
        position: ``(1, L, C)``, or ``(1, C, H, W)`` as in Microsoft's detection repository.
        grid: Height and width of the model's grid, in patches.
        noted: Its source grid, or None to infer it: ``grid`` if the lengths agree, else a square.

    Returns:
        ``(1, H * W, C)`` and True if it was resized. An embedding with an unknown source grid is
        returned unchanged.
    """
    if position.ndim == 4:
        noted = (position.shape[2], position.shape[3])
        position = position.flatten(2).transpose(1, 2)
    if position.ndim != 3:
        return position, False
    length = position.shape[1]
    side = math.isqrt(length)
    for source in filter(None, (noted, grid, (side, side))):
        if math.prod(source) == length:
            return resize_tokens(position, source, grid), tuple(source) != tuple(grid)
    return position, False
