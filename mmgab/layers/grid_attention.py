"""Attention of a plain ViT: global, or in windows without a shift.

Its relative positions are a learned table or an MLP; parameter names are timm's. Both produce a
table for any window, with one row per offset in the order of
:func:`mmgab.functional.relative_offsets`.
"""

import inspect
from collections.abc import Mapping, MutableMapping, Sequence

import torch
from torch import Tensor, nn

from mmgab.functional import (
    is_exporting,
    resize_table,
    table_window,
    tiled_attention,
    window_offsets,
)

from .adaptive import AdaptiveModule
from .attention import BiasedMSA
from .gated_attention import LocalPosition, mix
from .gaussian_bias import GaussianBias
from .validation import check_keys, check_positive, chosen_places, positive_pair

_CLASS_TOKEN_ROWS = 3  # of timm's tables, behind the others: to it, from it, itself


class RelPosBias(AdaptiveModule, nn.Module):
    """Learned relative-position table (arXiv 2103.14030, equation 4), resized for other windows.

    Args:
        window_size: Height and width, in tokens, of the window that it is learned for.
        num_heads: Attention heads.
    """

    def __init__(self, window_size: tuple[int, int], num_heads: int) -> None:
        super().__init__()
        self.window_size = window_size
        self._rows = (2 * window_size[0] - 1) * (2 * window_size[1] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.empty(self._rows, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, window_size: tuple[int, int], like: Tensor) -> Tensor:
        """Make the table of a window.

        Args:
            window_size: Height and width of the window, in tokens.
            like: Unused; the table has the device and dtype of the parameters.

        Returns:
            ``((2Wh-1)(2Ww-1), heads)``, in logits.

        Raises:
            ValueError: If the table would have to be resized during export.
        """
        if is_exporting() and tuple(window_size) != self.window_size:
            raise ValueError(
                f'a relative-position table for {self.window_size} tokens cannot be resized to '
                f'{tuple(window_size)} during export; build the network with the img_size that '
                'gives this size, and load the checkpoint into it'
            )
        table = resize_table(self.relative_position_bias_table, self.window_size, window_size)
        # A copy: FSDP frees a sharded parameter after this module's forward.
        return table.clone()

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Resize a table of another window and drop the rows of a class token.

        See :meth:`AdaptiveModule.adapt_state_dict`.
        """
        name = f'{prefix}relative_position_bias_table'
        table = state_dict.get(name)
        noted = local_metadata.get('window_size', self.window_size)
        is_own = noted is not None and tuple(noted) == self.window_size
        if table is None or table.ndim != 2 or (is_own and len(table) == self._rows):
            return []
        source = table_window(table, None, noted)
        if source is None:  # a square window plus the rows of a class token, or unknown
            table = table[:-_CLASS_TOKEN_ROWS]
            source = table_window(table, None)
        if source is None:
            return []
        state_dict[name] = resize_table(table, source, self.window_size)
        return [] if source == self.window_size else [name]

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Save the window in the metadata: 3 x 5 and 5 x 3 tables have equal row counts."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['window_size'] = self.window_size


class RelPosMlp(nn.Module):
    r"""MLP from relative offset to bias, for windows of any size without resizing.

    Its inputs are :math:`\mathrm{sign}(\delta) \ln(1 + |\delta|)` for the offset :math:`\delta` in
    tokens, as in Swin V2 (arXiv 2111.09883, equation 4) but not normalised: timm's ``'cr'`` mode,
    which its ``vit_relpos_*`` networks and the paper's (arXiv 2305.04722) have. Its layers keep
    PyTorch's default initialisation, as in the paper's code.

    Args:
        window_size: Unused, as it has no table.
        num_heads: Attention heads.
        hidden: Hidden channels.
    """

    def __init__(self, window_size: tuple[int, int], num_heads: int, hidden: int = 128) -> None:
        super().__init__()
        check_positive('rel_pos_cfg: hidden', hidden)
        self.mlp = nn.ModuleDict(
            dict(fc1=nn.Linear(2, hidden), drop=nn.Dropout(0.125), fc2=nn.Linear(hidden, num_heads))
        )

    def forward(self, window_size: tuple[int, int], like: Tensor) -> Tensor:
        """Make the table of a window.

        Args:
            window_size: Height and width of the window, in tokens.
            like: Tensor whose device and dtype are used.

        Returns:
            ``((2Wh-1)(2Ww-1), heads)``, in logits.
        """
        offsets = window_offsets((window_size[0], window_size[1]), like.device)
        inputs = (offsets.sign() * offsets.abs().log1p()).to(like.dtype)
        hidden = self.mlp['drop'](self.mlp['fc1'](inputs).relu())
        return self.mlp['fc2'](hidden)


_TYPES = {'table': RelPosBias, 'mlp': RelPosMlp}


def build_relative_position(
    rel_pos_cfg: Mapping | None, window_size: tuple[int, int], num_heads: int
) -> RelPosBias | RelPosMlp | None:
    """Build a layer's relative positions.

    Args:
        rel_pos_cfg: ``type``, ``'table'`` or ``'mlp'``, and for the latter ``hidden``; None for
            none.
        window_size: Height and width, in tokens, of the window that a table is learned for.
        num_heads: Attention heads.

    Raises:
        TypeError: If ``rel_pos_cfg`` is not a mapping.
        ValueError: If the type or a key is unknown.
    """
    if rel_pos_cfg is None:
        return None
    if not isinstance(rel_pos_cfg, Mapping):
        raise TypeError(
            f'rel_pos_cfg must be a dict or None (no relative positions), got {rel_pos_cfg!r}'
        )
    kind = rel_pos_cfg.get('type')
    if kind not in _TYPES:
        raise ValueError(f'rel_pos_cfg: type must be one of {list(_TYPES)}, got {kind!r}')
    arguments = {key: value for key, value in rel_pos_cfg.items() if key != 'type'}
    shared = ('window_size', 'num_heads')
    own = [n for n in inspect.signature(_TYPES[kind]).parameters if n not in shared]
    check_keys('rel_pos_cfg', arguments, own)
    return _TYPES[kind](window_size, num_heads, **arguments)


class GridMSA(BiasedMSA):
    """Multi-head self-attention with a relative-position bias, for grids of any size.

    Relative positions and the Gaussian are added as a table of ``(2H-1)(2W-1)`` offsets. No buffer
    of offsets or indices is needed, and the Gaussian is not resized. Global attention reads the
    table tile by tile, see :func:`mmgab.functional.tiled_attention`: its memory grows linearly with
    the image's area.

    Args:
        embed_dims: Channels ``C``.
        num_heads: Attention heads; must divide ``embed_dims``.
        grid_size: Height and width, in tokens, that a table is learned for: those of the window, or
            of the images of pretraining.
        window_size: Height and width of the windows, in tokens; None for the whole grid. Grids are
            padded at the bottom and right to a multiple of the window. As in the Swin backbones,
            padding is not masked.
        qkv_bias: Add a learnable bias to queries, keys and values.
        attn_drop_rate: Dropout probability of the attention weights.
        proj_drop_rate: Dropout probability of the output.
        rel_pos_cfg: See :func:`build_relative_position`.
        gab_cfg: Arguments of :class:`GaussianBias`, or None.
        attn_backend: One of ``ATTENTION_BACKENDS``, see :attr:`~.BiasedMSA.is_fused`.
        gpsa_cfg: Arguments of :class:`~.gated_attention.LocalPosition`, or None for no gates.
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
        gpsa_cfg: Mapping | None = None,
    ) -> None:
        super().__init__(
            embed_dims,
            num_heads,
            window_size,
            qkv_bias,
            None,
            attn_drop_rate,
            proj_drop_rate,
            attn_backend,
        )
        # Created after the projections, because optimizer states number parameters in this order.
        self.rel_pos = build_relative_position(rel_pos_cfg, grid_size, num_heads)
        self.gaussian = None if gab_cfg is None else GaussianBias.from_cfg(gab_cfg, num_heads)
        self.local = None if gpsa_cfg is None else LocalPosition(num_heads, **gpsa_cfg)

    def learned_table(self, window_size: tuple[int, int], like: Tensor) -> Tensor | None:
        """Return the table of the relative positions, see :meth:`BiasedMSA.learned_table`."""
        return None if self.rel_pos is None else self.rel_pos(window_size, like)

    def forward(
        self, x: Tensor, hw_shape: tuple[int, int], shift: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Attend inside every window or over the whole grid, see :meth:`BiasedMSA.forward`."""
        if not self.is_tiled:
            return super().forward(x, hw_shape, shift)
        qkv, _ = self._project(x, hw_shape, hw_shape)  # (B * H * W, 3 * C)
        grid, table = (len(x), *hw_shape), self.position_table(hw_shape, x)
        out = tiled_attention(qkv, table, grid, self.num_heads, self.scale)  # (B * H * W, C)
        if self.local is not None:
            # The mean of two weights is that of two outputs; one ignores queries and keys.
            scores, share = self.local_table(hw_shape, x.device)
            local = tiled_attention(qkv, scores, grid, self.num_heads, 0.0)
            out, local = (part.unflatten(1, (self.num_heads, -1)) for part in (out, local))
            out = mix(out, local, share.flatten(1))
        return self.proj_drop(self.proj(out.reshape(x.shape)))

    @property
    def is_fused(self) -> bool:
        """True if attention is fused, as :attr:`BiasedMSA.is_fused` or with global gates."""
        return self.is_tiled or super().is_fused

    @property
    def is_tiled(self) -> bool:
        """True for global attention whose bias is a table."""
        is_global = self.window_size is None
        return is_global and self.has_table and self._is_fusible and not is_exporting()

    def _forward_exported(
        self,
        x: Tensor,
        hw_shape: tuple[int, int],
        window_size: tuple[int, int],
        shift: tuple[int, int],
    ) -> Tensor:
        if any(isinstance(side, torch.SymInt) for side in hw_shape):
            raise ValueError(
                'ViTGAB does not support export with dynamic image sizes, because its bias is '
                'computed for one grid; export with a fixed size (the batch size stays dynamic)'
            )
        window = (int(window_size[0]), int(window_size[1]))  # tensors under torch.jit.trace
        return super()._forward_exported(x, hw_shape, window, shift)


def block_windows(
    window_size: int | tuple[int, int] | None, global_blocks: object, depth: int
) -> list[tuple[int, int] | None]:
    """Return the window of every block; None for global attention.

    Raises:
        TypeError: If ``global_blocks`` is not a sequence.
        ValueError: If ``global_blocks`` is set without ``window_size``, or a block does not exist.
    """
    if isinstance(global_blocks, str) or not isinstance(global_blocks, Sequence):
        raise TypeError(f'global_blocks must be a sequence of ints, got {global_blocks!r}')
    if window_size is None:
        if global_blocks:
            raise ValueError(
                f'global_blocks must be empty without a window_size (all blocks are global), got '
                f'global_blocks={global_blocks!r}'
            )
        return [None] * depth
    window = positive_pair('window_size', window_size)
    chosen = chosen_places('ViTGAB', 'global_blocks', global_blocks, depth) if global_blocks else ()
    return [None if i in chosen else window for i in range(depth)]
