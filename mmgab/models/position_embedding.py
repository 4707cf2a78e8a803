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


def fit_tokens(position: Tensor, grid: tuple[int, int]) -> Tensor:
    """Bring a saved position embedding to a grid.

    Args:
        position: ``(1, L, C)``, of the wanted grid or of any square one, or ``(1, C, H, W)`` as in
            Microsoft's detection repository.
        grid: Height and width that are wanted, in patches.

    Returns:
        ``(1, H * W, C)`` of that grid; the embedding itself where its own cannot be told.
    """
    if position.ndim == 4:
        source = tuple(position.shape[2:])
        position = position.flatten(2).transpose(1, 2)
    elif position.shape[1] == math.prod(grid):
        return position
    else:
        source = (math.isqrt(position.shape[1]),) * 2
    is_whole = math.prod(source) == position.shape[1]
    return resize_tokens(position, source, grid) if is_whole else position
