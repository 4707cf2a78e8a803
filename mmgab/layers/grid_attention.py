"""Attention of a plain ViT: over the whole token grid, or in windows of it that are not shifted.

Its relative positions are learned as a table or as a network; names as in timm. Both make a table
for any window: one row for each offset, in the order of :func:`mmgab.functional.relative_offsets`.
"""

import inspect
from collections.abc import Mapping, MutableMapping, Sequence

import torch
from torch import Tensor, nn

from mmgab.functional import is_exporting, resize_table, table_window, window_offsets

from .adaptive import AdaptiveModule
from .attention import BiasedMSA
from .gated_attention import LocalPosition
from .gaussian_bias import GaussianBias
from .validation import check_keys, check_positive, chosen_places, positive_pair

_CLASS_TOKEN_ROWS = 3  # of timm's tables, behind the others: to it, from it, itself


class RelPosBias(AdaptiveModule, nn.Module):
    """A learned table, as in Swin (arXiv 2103.14030, equation 4); resized for other windows.

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
            like: Not needed: it is where the parameters are.

        Returns:
            ``((2Wh-1)(2Ww-1), heads)``, in logits.

        Raises:
            ValueError: If it would be resized in an exported graph, which has no operator for it.
        """
        if is_exporting() and tuple(window_size) != self.window_size:
            raise ValueError(
                f'a table for {self.window_size} tokens is not resized in an exported graph: build '
                f'the network with the img_size that gives {tuple(window_size)}, and load it'
            )
        table = resize_table(self.relative_position_bias_table, self.window_size, window_size)
        # Never the parameter itself: where it is sharded, it is gone when this module has run.
        return table.clone()

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Bring a table of another window, or with rows of a class token, to our form.

        See :meth:`AdaptiveModule.adapt_state_dict`.
        """
        name = f'{prefix}relative_position_bias_table'
        table = state_dict.get(name)
        noted = local_metadata.get('window_size', self.window_size)
        is_own = noted is not None and tuple(noted) == self.window_size
        if table is None or table.ndim != 2 or (is_own and len(table) == self._rows):
            return []
        source = table_window(table, None, noted)
        if source is None:  # a square and the rows of a class token, or what cannot be told
            table = table[:-_CLASS_TOKEN_ROWS]
            source = table_window(table, None)
        if source is None:
            return []
        state_dict[name] = resize_table(table, source, self.window_size)
        return [] if source == self.window_size else [name]

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Note the window beside the table, whose rows do not tell 3 x 5 from 5 x 3."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['window_size'] = self.window_size


class RelPosMlp(nn.Module):
    r"""A network from offset to bias, which knows every window without being resized.

    Its inputs are :math:`\mathrm{sign}(\delta) \ln(1 + |\delta|)` for the offset :math:`\delta` in
    tokens, as in Swin V2 (arXiv 2111.09883, equation 4) but not normalised: timm's ``'cr'`` mode,
    which its ``vit_relpos_*`` networks and the paper's (arXiv 2305.04722) have. Its layers start as
    torch's linear layers do, as the paper's code draws them again.

    Args:
        window_size: Not needed, as it has no table.
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
            like: Whose device and precision it is computed in.

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
        ValueError: If the type or a key is not known.
    """
    if rel_pos_cfg is None:
        return None
    if not isinstance(rel_pos_cfg, Mapping):
        raise TypeError(f'rel_pos_cfg must be a dict or None (none), got {rel_pos_cfg!r}')
    kind = rel_pos_cfg.get('type')
    if kind not in _TYPES:
        raise ValueError(f'rel_pos_cfg: type must be one of {list(_TYPES)}, got {kind!r}')
    arguments = {key: value for key, value in rel_pos_cfg.items() if key != 'type'}
    shared = ('window_size', 'num_heads')
    own = [n for n in inspect.signature(_TYPES[kind]).parameters if n not in shared]
    check_keys('rel_pos_cfg', arguments, own)
    return _TYPES[kind](window_size, num_heads, **arguments)


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
        # Behind the projections: optimizers number parameters in this order.
        self.rel_pos = build_relative_position(rel_pos_cfg, grid_size, num_heads)
        self.gaussian = None if gab_cfg is None else GaussianBias.from_cfg(gab_cfg, num_heads)
        self.local = None if gpsa_cfg is None else LocalPosition(num_heads, **gpsa_cfg)

    def learned_table(self, window_size: tuple[int, int], like: Tensor) -> Tensor | None:
        """What the relative positions make, see :meth:`BiasedMSA.learned_table`."""
        return None if self.rel_pos is None else self.rel_pos(window_size, like)

    def _forward_exported(
        self,
        x: Tensor,
        hw_shape: tuple[int, int],
        window_size: tuple[int, int],
        shift: tuple[int, int],
    ) -> Tensor:
        if any(isinstance(side, torch.SymInt) for side in hw_shape):
            raise ValueError(
                'a plain ViT is exported for images of one size (the batch stays open): its bias '
                'of all pairs of tokens is made for one grid'
            )
        window = (int(window_size[0]), int(window_size[1]))  # a trace has tensors for sides
        return super()._forward_exported(x, hw_shape, window, shift)


def block_windows(
    window_size: int | tuple[int, int] | None, global_blocks: object, depth: int
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
