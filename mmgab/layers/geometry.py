"""Relative positions of a window, computed once and shared by all layers."""

import torch
from torch import Tensor

from mmgab.functional import relative_offsets, relative_position_index, remember


@remember(8)
def window_geometry(window_size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Offsets of a window's table rows ``(T, 2)`` and the row of each token pair ``(N, N)``."""
    return relative_offsets(window_size, device), relative_position_index(window_size, device)
