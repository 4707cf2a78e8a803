"""Attention of a plain ViT: over the whole token grid, or in windows of it that are not shifted."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmgab.functional import (
    attend_in_exported_windows,
    pairs_of_table,
    relative_offsets,
)

from .arguments import chosen_places, positive_pair
from .biased_attention import BiasedMSA
from .gaussian_bias import GaussianBias
from .lean_layers import is_exporting, linear_parts
from .relative_positions import build_relative_position


class GridMSA(BiasedMSA):
    """Multi-head self-attention with a bias of relative positions, for grids of any size.

    The bias is made in table space, ``(2H-1)(2W-1)`` offsets, where relative positions and the
    Gaussian are added, and is cut into pairs from there: there is no buffer of offsets or indices
    of all pairs, and the Gaussian needs no resize. The pairs themselves, ``heads * N * N`` numbers,
    are kept for backward: for 12 heads and 50 x 84 patches 0.85 GB a layer that sees all of them.

    Args:
        embed_dims: Channels ``C``.
        num_heads: Attention heads; must divide ``embed_dims``.
        grid_size: Height and width, in tokens, that a table is learned for: those of the window, or
            of the images of pretraining.
        window_size: Height and width of the windows, in tokens; None for the whole grid. Grids are
            padded below and on the right until windows fit, and as in every Swin here what is
            padded takes part.
        qkv_bias: Add a learnable bias to queries, keys and values.
        attn_drop_rate: Dropout probability of the attention weights.
        proj_drop_rate: Dropout probability of the output.
        rel_pos_cfg: See :func:`~.relative_positions.build_relative_position`.
        gab_cfg: Arguments of :class:`GaussianBias`, or None.
        attn_backend: One of ``ATTENTION_BACKENDS``, see :attr:`~.BiasedMSA.is_fused`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        grid_size: tuple[int, int],
        window_size: tuple[int, int] | None = None,
        qkv_bias: bool = True,
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        rel_pos_cfg: Mapping | None = None,
        gab_cfg: Mapping | None = None,
        attn_backend: str = 'auto',
    ) -> None:
        super().__init__()
        self.attention_window = window_size
        rates = (attn_drop_rate, proj_drop_rate)
        self.make_projections_(embed_dims, num_heads, qkv_bias, None, rates, attn_backend)
        self.rel_pos = build_relative_position(rel_pos_cfg, grid_size, num_heads)
        self.gaussian = None if gab_cfg is None else GaussianBias.from_cfg(gab_cfg, num_heads)

    def pair_bias(self, window_size: tuple[int, int], like: Tensor) -> Tensor:
        """Bias of every pair of tokens of a window.

        Args:
            window_size: Height and width, in tokens.
            like: Whose device and precision it is for.

        Returns:
            ``(heads, N, N)``, query before key.
        """
        parts = []
        if self.rel_pos is not None:
            parts.append(self.rel_pos(window_size, like))
        if self.gaussian is not None:
            parts.append(self.gaussian(relative_offsets(window_size, like.device)))
        tokens = window_size[0] * window_size[1]
        pairs = pairs_of_table(sum(parts), window_size) if parts else like.new_zeros(1, 1, 1)
        return pairs.expand(self.num_heads, tokens, tokens)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Attend.

        Args:
            x: Normed tokens ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.

        Returns:
            Tokens ``(B, H * W, C)``.
        """
        window = self.attention_window or tuple(hw_shape)
        if is_exporting():
            return self._forward_exported(x, hw_shape, window)
        return self.attend(x, self.pair_bias(window, x), hw_shape, window, (0, 0))

    def _forward_exported(
        self, x: Tensor, hw_shape: tuple[int, int], window_size: tuple[int, int]
    ) -> Tensor:
        """:meth:`forward` in plain operators, which every runtime has."""
        if any(isinstance(side, torch.SymInt) for side in hw_shape):
            raise ValueError(
                'a plain ViT is exported for images of one size (the batch stays open): its bias '
                'of all pairs of tokens is made for one grid'
            )
        window_size = tuple(map(int, window_size))  # a trace has tensors for sides
        bias, attend = self.pair_bias(window_size, x), self.steps(window_size, x.device)
        if self.attention_window is None:
            q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
            attended = attend(q, k, v, bias, None).transpose(1, 2).flatten(2)
        else:
            padding = x.new_zeros(x.shape[0], 1, x.shape[2])
            parts = linear_parts(torch.cat((x, padding), dim=1), self.qkv, 3)
            grid = (x.shape[0], *hw_shape)
            attended = attend_in_exported_windows(parts, bias, grid, window_size, (0, 0), attend)
        return self.proj_drop(self.proj(attended))


def block_windows(
    window_size: int | tuple[int, int] | None, global_blocks: Sequence[int], depth: int
) -> list[tuple[int, int] | None]:
    """Window of every block; None where it sees the whole image.

    Raises:
        TypeError: If ``global_blocks`` is no sequence.
        ValueError: If blocks are named and there are no windows, or there is no such block.
    """
    if isinstance(global_blocks, str) or not isinstance(global_blocks, Sequence):
        raise TypeError(f'global_blocks must be a sequence of ints, got {global_blocks!r}')
    if window_size is None:
        if global_blocks:
            raise ValueError(
                f'global_blocks={global_blocks!r} without a window_size: all blocks are global'
            )
        return [None] * depth
    window = positive_pair('window_size', window_size)
    chosen = chosen_places('ViTGAB', 'global_blocks', global_blocks, depth) if global_blocks else ()
    return [None if i in chosen else window for i in range(depth)]
