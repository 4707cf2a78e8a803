"""Window attention and its shifted form (Swin Transformer, arXiv 2103.14030, section 3.2)."""

import math
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

from mmgab.functional import (
    pairs_of_table,
    relative_offsets,
    relative_position_index,
    resize_table,
    table_window,
    window_index,
)

from .adaptive import AdaptiveModule
from .attention import BiasedMSA
from .fused_norms import ReadsNormed
from .gated_attention import LocalPosition
from .gaussian_bias import GaussianBias


class WindowMSA(AdaptiveModule, BiasedMSA):
    """Multi-head self-attention inside one window, with a relative-position bias.

    The bias is a learned table over the relative offsets plus the Gaussian, a table over the same
    offsets. :class:`~.attention.BiasedMSA` documents how to add further terms.

    Parameter names are those of OpenMMLab checkpoints.

    Args:
        embed_dims: Channels ``C``.
        num_heads: Attention heads; must divide ``embed_dims``.
        window_size: Height and width of the window, ``N = Wh * Ww`` tokens.
        qkv_bias: Add a learnable bias to queries, keys and values.
        qk_scale: Factor on the scores; ``None`` is ``head_dim ** -0.5``.
        attn_drop_rate: Dropout probability of the attention weights.
        proj_drop_rate: Dropout probability of the output.
        gab_cfg: Arguments of :class:`GaussianBias`, or ``None`` for no Gaussian.
        attn_backend: One of ``ATTENTION_BACKENDS``, see :attr:`~.BiasedMSA.is_fused`.
        gpsa_cfg: Arguments of :class:`~.gated_attention.LocalPosition`, or None for no gates.
    """

    window_size: tuple[int, int]

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: tuple[int, int],
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        gab_cfg: Mapping | None = None,
        attn_backend: str = 'auto',
        gpsa_cfg: Mapping | None = None,
    ) -> None:
        table = torch.empty((2 * window_size[0] - 1) * (2 * window_size[1] - 1), num_heads)
        nn.init.trunc_normal_(table, std=0.02)
        super().__init__(
            embed_dims,
            num_heads,
            window_size,
            qkv_bias,
            qk_scale,
            attn_drop_rate,
            proj_drop_rate,
            attn_backend,
            gaussian=None if gab_cfg is None else GaussianBias.from_cfg(gab_cfg, num_heads),
        )
        self._table_rows = len(table)
        self.relative_position_bias_table = nn.Parameter(table)
        self.local = None if gpsa_cfg is None else LocalPosition(num_heads, **gpsa_cfg)

    def learned_table(self, window_size: tuple[int, int], like: Tensor) -> Tensor:
        """Return the table, resized for another window, see :meth:`BiasedMSA.learned_table`."""
        return resize_table(self.relative_position_bias_table, self.window_size, window_size)

    def pairs(self, table: Tensor, window_size: tuple[int, int]) -> Tensor:
        """Expand a table by an index that all layers share, see :meth:`BiasedMSA.pairs`."""
        window = (window_size[0], window_size[1])
        return pairs_of_table(table, window, window_index(window, table.device))

    @property
    def has_terms(self) -> bool:
        """True if the bias has terms besides the table, which can be folded."""
        return any(getattr(self, name) is not None for name in self.position_terms)

    @torch.no_grad()
    def fold_(self) -> None:
        """Fold all terms of the bias into the table; the layer's function stays the same."""
        table = self.relative_position_bias_table
        total = self.position_table(self.window_size, table)
        assert total is not None  # the table is a part of it
        table.copy_(total)
        for name in self.position_terms:
            setattr(self, name, None)

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Resize a table of another window, and fit or rescale its Gaussian.

        See :meth:`AdaptiveModule.adapt_state_dict`.
        """
        # Stock Swin saves the index; here it is derived.
        index = state_dict.pop(f'{prefix}relative_position_index', None)
        name = f'{prefix}relative_position_bias_table'
        table = state_dict.get(name)
        if table is None or table.ndim != 2 or table.shape[1] != self.num_heads:
            return []
        source = self._source_window(table, index, local_metadata.get('window_size'))
        if source is None:
            return []
        resized = resize_table(table, source, self.window_size)
        state_dict[name] = resized
        if self.gaussian is not None:
            offsets = relative_offsets(self.window_size, table.device)
            ratio = math.sqrt(math.prod(self.window_size) / math.prod(source))
            self.gaussian.adapt_to_table(state_dict, f'{prefix}gaussian.', name, offsets, ratio)
        return [] if resized is table else [name]

    def _source_window(
        self, table: Tensor, index: Tensor | None, noted: object
    ) -> tuple[int, int] | None:
        """Infer a table's source window; this layer's window unless index or metadata differ."""
        is_own = len(table) == self._table_rows
        if is_own and noted is None:
            own_index = relative_position_index(self.window_size, table.device)
            if index is None or torch.equal(index.flatten(), own_index.flatten()):
                return self.window_size
        return table_window(table, index, noted) or (self.window_size if is_own else None)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Save the window in the metadata: 3 x 5 and 5 x 3 tables have equal row counts."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['window_size'] = self.window_size


class ShiftWindowMSA(ReadsNormed):
    """Window attention on a token grid, with regular or shifted windows.

    The grid is padded, then cyclically shifted, as in MMDetection, MMSegmentation and torchvision.
    Padding is zeros and is not masked: padding tokens take part in the softmax of the last row and
    column of windows, as in the published checkpoints.

    Args:
        embed_dims: Channels ``C``.
        num_heads: Attention heads.
        window_size: Height and width of the window, in tokens.
        shift: Shift the windows by half their size.
        shift_single_window: Shift also along a side of the grid that a single window covers.
        make_attention: :class:`WindowMSA`, or a factory of a subclass.
        attention: Further arguments of :class:`WindowMSA`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        window_size: tuple[int, int],
        shift: bool = False,
        shift_single_window: bool = True,
        make_attention: Callable[..., WindowMSA] = WindowMSA,
        **attention: Any,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.shift_size = (window_size[0] // 2, window_size[1] // 2) if shift else (0, 0)
        self.shift_single_window = shift_single_window
        self.w_msa = make_attention(embed_dims, num_heads, window_size, **attention)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Attend inside the windows of a token grid.

        Args:
            x: Normed tokens ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.

        Returns:
            Tokens ``(B, H * W, C)``.
        """
        return self.w_msa(x, hw_shape, self._shift(hw_shape))

    def _shift(self, hw_shape: tuple[int, int]) -> tuple[int, int]:
        if self.shift_single_window:
            return self.shift_size
        (height, width), (shift_y, shift_x) = hw_shape, self.shift_size
        is_single_y, is_single_x = height <= self.window_size[0], width <= self.window_size[1]
        return 0 if is_single_y else shift_y, 0 if is_single_x else shift_x
