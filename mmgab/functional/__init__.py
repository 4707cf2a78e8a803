"""Window partitioning, window attention and relative positions as functions of plain tensors."""

from . import flops as flops  # registers the formulas
from .attention_operator import window_attention, window_attention_operator
from .exported_windows import to_exported_tokens, to_exported_windows
from .gaussian import GaussianFit, GaussianSplit, fit_gaussian, split_gaussian
from .patch_diversity import contrastive_diversity, cosine_diversity
from .relative_position import (
    gaussian_table,
    pairs_of_table,
    relative_offsets,
    relative_position_index,
    resize_table,
    square_window,
    table_of_pairs,
    table_window,
    window_index,
    window_of_index,
    window_offsets,
)
from .tiled_attention_operator import tiled_attention
from .tracing import is_backward_differentiated, is_exporting, is_transformed, remember
from .windows import (
    WindowGroup,
    WindowOrder,
    mask_bias,
    shift_mask,
    split_heads,
    window_order,
)

__all__ = [
    'GaussianFit',
    'GaussianSplit',
    'WindowGroup',
    'WindowOrder',
    'contrastive_diversity',
    'cosine_diversity',
    'fit_gaussian',
    'gaussian_table',
    'is_backward_differentiated',
    'is_exporting',
    'is_transformed',
    'mask_bias',
    'pairs_of_table',
    'relative_offsets',
    'relative_position_index',
    'remember',
    'resize_table',
    'shift_mask',
    'split_gaussian',
    'split_heads',
    'square_window',
    'table_of_pairs',
    'table_window',
    'tiled_attention',
    'to_exported_tokens',
    'to_exported_windows',
    'window_attention',
    'window_attention_operator',
    'window_index',
    'window_of_index',
    'window_offsets',
    'window_order',
]
