"""Window geometry, computed once and shared by all layers.

Plain caches, not buffers: a buffer would be saved, or broadcast by DistributedDataParallel in every
step. Tensors are made outside inference mode, since autograd refuses to save an inference tensor in
a later training step. Both caches are bounded.
"""

from functools import lru_cache

import torch
from torch import Tensor

from mmgab.functional import relative_offsets, relative_position_index, shift_mask


@lru_cache(maxsize=8)
def window_geometry(window_size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Offsets of a window's table rows ``(T, 2)`` and the row of each token pair ``(N, N)``."""
    with torch.inference_mode(False):
        offsets = relative_offsets(window_size, device)
        return offsets, relative_position_index(window_size).to(device)


# Four stages of two image sizes: a run whose sizes keep changing holds no more than that.
@lru_cache(maxsize=8)
def cached_shift_mask(
    grid: tuple[int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
    device: torch.device,
) -> Tensor:
    """See :func:`mmgab.functional.shift_mask`."""
    with torch.inference_mode(False):
        return shift_mask(grid, window_size, shift, device)
