"""Window geometry and the Gaussian in plain torch: no module, no state, no config."""

from .attention_operator import Attend, attend_in_windows, mask_bias, window_attention
from .derivatives import is_transformed
from .exported_windows import attend_in_exported_windows
from .fused_norms import NormInputs, feed_forward, normed_linear
from .gaussian import (
    GaussianFit,
    GaussianSplit,
    fit_gaussian,
    gaussian_table,
    split_gaussian,
)
from .geometry_cache import remember
from .patch_diversity import contrastive_diversity, cosine_diversity
from .relative_position import (
    pairs_of_table,
    relative_offsets,
    relative_position_index,
    resize_table,
    square_window,
    table_window,
    window_of_index,
)
from .token_order import WindowGroup, WindowOrder, window_order
from .windows import partition_windows, shift_mask

__all__ = [
    'Attend',
    'GaussianFit',
    'GaussianSplit',
    'NormInputs',
    'WindowGroup',
    'WindowOrder',
    'attend_in_exported_windows',
    'attend_in_windows',
    'contrastive_diversity',
    'cosine_diversity',
    'feed_forward',
    'fit_gaussian',
    'gaussian_table',
    'is_transformed',
    'mask_bias',
    'normed_linear',
    'pairs_of_table',
    'partition_windows',
    'relative_offsets',
    'relative_position_index',
    'remember',
    'resize_table',
    'shift_mask',
    'split_gaussian',
    'square_window',
    'table_window',
    'window_attention',
    'window_of_index',
    'window_order',
]
