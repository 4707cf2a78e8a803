"""Absolute position embeddings for grids of any size."""

import math

import torch.nn.functional as F
from torch import Tensor


def resize_tokens(tokens: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Resize ``(1, Hs * Ws, C)`` to ``(1, Ht * Wt, C)``, bicubically; itself where sizes agree."""
    if tuple(source) == tuple(target):
        return tokens
    grid = tokens.transpose(1, 2).unflatten(2, source)  # (1, C, Hs, Ws)
    return F.interpolate(grid, size=target, mode='bicubic').flatten(2).transpose(1, 2)


def without_other_tokens(
    position: Tensor, count: int, grid: tuple[int, int], noted: tuple[int, int] | None = None
) -> Tensor:
    """Leave out the first rows of a position embedding, if they are those of other tokens.

    A class token may have a row there or not; what a file says of its own grid, the wanted grid and
    a square tell which, in this order.

    Args:
        position: ``(1, L, C)``.
        count: Other tokens that the file has, a class token for one.
        grid: Height and width that are wanted, in patches.
        noted: The file's own, if known.

    Returns:
        ``(1, L - count, C)``, or the embedding itself.
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
    """Bring a saved position embedding to a grid.

    Args:
        position: ``(1, L, C)``, or ``(1, C, H, W)`` as in Microsoft's detection repository.
        grid: Height and width that are wanted, in patches.
        noted: Its own, if known; else it is the wanted one, if that has as many patches, or square.

    Returns:
        ``(1, H * W, C)`` of that grid, and whether it was resized; the embedding itself where its
        own grid cannot be told.
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
