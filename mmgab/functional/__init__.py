"""Window geometry in plain torch: no module, no state, no config."""

from .relative_position import (
    relative_offsets,
    relative_position_index,
    resize_table,
    square_window,
)
from .windows import merge_windows, pad_to_multiple, partition_windows, shift_mask

__all__ = [
    'merge_windows',
    'pad_to_multiple',
    'partition_windows',
    'relative_offsets',
    'relative_position_index',
    'resize_table',
    'shift_mask',
    'square_window',
]
