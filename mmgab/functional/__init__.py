"""Window geometry and the Gaussian in plain torch: no module, no state, no config."""

from .gaussian import (
    GaussianFit,
    GaussianSplit,
    fit_gaussian,
    gaussian_table,
    split_gaussian,
)
from .relative_position import (
    relative_offsets,
    relative_position_index,
    resize_table,
    square_window,
    table_window,
    window_of_index,
)
from .windows import merge_windows, pad_to_multiple, partition_windows, shift_mask

__all__ = [
    'GaussianFit',
    'GaussianSplit',
    'fit_gaussian',
    'gaussian_table',
    'merge_windows',
    'pad_to_multiple',
    'partition_windows',
    'relative_offsets',
    'relative_position_index',
    'resize_table',
    'shift_mask',
    'split_gaussian',
    'square_window',
    'table_window',
    'window_of_index',
]
