"""ViTGAB: plain Vision Transformer backbone with a Gaussian attention bias."""

from collections.abc import Mapping, MutableMapping, Sequence

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from mmgab.layers.attention_backends import check_backend
from mmgab.layers.context_broadcast import build_broadcasts
from mmgab.layers.drop_path import linear_rates
from mmgab.layers.gated_attention import gates_of_places
from mmgab.layers.grid_attention import GridMSA, block_windows
from mmgab.layers.padding_mask import PaddingMask
from mmgab.layers.position_embedding import without_other_tokens
from mmgab.layers.validation import (
    check_flags,
    check_heads,
    check_last_block,
    check_rates,
    check_stage_choices,
    check_start,
    check_widths,
    positive_pair,
)
from mmgab.layers.vit_block import ViTBlock, ViTBlockSequence
from mmgab.layers.vit_patches import ViTPatches
from mmgab.registry import MODELS

from .backbone import Backbone, attention_maker
from .init_cfg import checked_init_cfg
from .layer_depth import vit_layer_depth

_OTHER_TOKENS = ('cls_token', 'dist_token', 'reg_token')  # in timm's ViTs, not in ViTGAB
_PAPER_GAUSSIAN: dict = {}  # GaussianBias' own defaults
_GELU = dict(type='GELU')
_LAYER_NORM = dict(type='LN', eps=1e-6)


@MODELS.register_module()
class ViTGAB(Backbone):
    """Vision Transformer (arXiv 2010.11929) with a Gaussian attention bias (arXiv 2305.04722).

    Tensor names and values are timm's. The default is the paper's ViT-S, timm's
    ``vit_relpos_small_patch16_224`` with Gaussians. With ``rel_pos_cfg=None``,
    ``use_abs_pos_embed=True`` and ``layer_scale=None`` it is the standard ViT. It has no class
    token, as in ViTDet (arXiv 2203.16527). A class token in a checkpoint is ignored and reported.

    Args:
        img_size: Side, or height and width, in pixels, of the pretraining images. Tables and the
            absolute position embedding are learned for their grid and resized for other sizes.
        patch_size: Side of a patch, in pixels.
        in_channels: Channels of the image.
        embed_dims: Channels ``C``.
        depth: Number of blocks.
        num_heads: Attention heads of every block.
        mlp_ratio: Hidden channels of the feed-forward networks, in multiples of ``embed_dims``.
        qkv_bias: Add a learnable bias to queries, keys and values.
        rel_pos_cfg: Relative positions of every layer: ``dict(type='table')``,
            ``dict(type='mlp', hidden=128)`` or None for no relative positions.
        use_abs_pos_embed: Add a learned absolute position embedding to the patches.
        layer_scale: Initial value of LayerScale (arXiv 2103.17239); None for no LayerScale. timm's
            1e-6 is for long schedules; training from scratch is slow with it.
        window_size: Side of the windows, or height and width, in tokens, of the blocks with window
            attention; None for global attention in all blocks.
        global_blocks: Blocks with global attention if ``window_size`` is set; empty for no block.
        out_indices: Blocks whose output ``(B, C, H, W)`` is returned; must include the last one.
        final_norm: Apply a norm to the last block's output.
        drop_rate: Dropout probability after projections and after the patch embedding.
        attn_drop_rate: Dropout probability of attention weights.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 in the first.
        act_cfg: Activation of the feed-forward networks.
        norm_cfg: All norm layers.
        with_cp: Activation checkpointing: blocks are recomputed in backward to save memory.
        frozen_stages: 0 freezes the patch embedding, ``n`` also the first ``n`` blocks; -1 freezes
            nothing. Takes effect here, before an optimizer is built.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or ``None``, with any argument of
            :func:`mmgab.checkpoints.load`.
        gab_cfg: Arguments of :class:`~mmgab.layers.gaussian_bias.GaussianBias`, the same for all
            layers, by default the paper's; ``None`` is the baseline ViT without a Gaussian.
        attn_backend: See :class:`~.swin_gab.SwinGAB`. Global attention that is fused is always
            :func:`mmgab.functional.tiled_attention`.
        cb_cfg: Context Broadcasting, see :class:`~.swin_gab.SwinGAB`, with ``blocks`` instead of
            ``stages``.
        gpsa_cfg: Gated positional self-attention (arXiv 2103.10697), see
            :class:`~.swin_gab.SwinGAB`, with ``blocks`` instead of ``stages``. ConViT has it in
            the first 10 of 12 blocks.
        attention: Custom attention, see :class:`~.swin_gab.SwinGAB`, here a subclass of
            :class:`~mmgab.layers.grid_attention.GridMSA`.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range or does not fit another one.
    """

    position_name = 'pos_embed'

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 16,
        in_channels: int = 3,
        embed_dims: int = 384,
        depth: int = 12,
        num_heads: int = 6,
        mlp_ratio: float = 4,
        qkv_bias: bool = False,
        rel_pos_cfg: Mapping | None = dict(type='mlp'),
        use_abs_pos_embed: bool = False,
        layer_scale: float | None = 1e-6,
        window_size: int | tuple[int, int] | None = None,
        global_blocks: Sequence[int] = (),
        out_indices: Sequence[int] = (11,),
        final_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: Mapping = _GELU,
        norm_cfg: Mapping = _LAYER_NORM,
        with_cp: bool = False,
        frozen_stages: int = -1,
        init_cfg: Mapping | None = None,
        gab_cfg: Mapping | None = _PAPER_GAUSSIAN,
        attn_backend: str = 'auto',
        cb_cfg: Mapping | None = None,
        gpsa_cfg: Mapping | None = None,
        attention: Mapping | None = None,
    ) -> None:
        super().__init__(init_cfg=checked_init_cfg(None, init_cfg))
        check_heads(embed_dims, depth, num_heads)
        check_stage_choices(out_indices, frozen_stages, depth)
        check_widths(in_channels, embed_dims, mlp_ratio)
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        check_last_block(out_indices, depth)
        check_flags(qkv_bias=qkv_bias, use_abs_pos_embed=use_abs_pos_embed)
        check_flags(with_cp=with_cp, final_norm=final_norm)
        check_start('layer_scale', layer_scale)
        check_backend(attn_backend, attn_drop_rate, gpsa_cfg is not None)
        patch_size = positive_pair('patch_size', patch_size)
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.padding_mask = PaddingMask(patch_size, ())

        self.patch_embed = ViTPatches(in_channels, embed_dims, patch_size)
        self._make_position(use_abs_pos_embed, patch_size, embed_dims, img_size=img_size)
        self.pos_drop = nn.Dropout(drop_rate)
        windows = block_windows(window_size, global_blocks, depth)
        rates = linear_rates(drop_path_rate, [depth])[0]
        broadcasts = build_broadcasts(cb_cfg, depth, 'blocks')
        gates = gates_of_places(gpsa_cfg, depth, 'blocks')
        make_attention = attention_maker(attention, GridMSA)
        self.blocks = ViTBlockSequence(
            ViTBlock(
                embed_dims,
                int(mlp_ratio * embed_dims),
                make_attention,
                broadcasts[i],
                drop_rate,
                rates[i],
                layer_scale,
                act_cfg,
                norm_cfg,
                with_cp,
                num_heads=num_heads,
                grid_size=windows[i] or self.pretrain_grid,
                window_size=windows[i],
                qkv_bias=qkv_bias,
                attn_drop_rate=attn_drop_rate,
                rel_pos_cfg=rel_pos_cfg,
                gab_cfg=gab_cfg,
                attn_backend=attn_backend,
                gpsa_cfg=gates[i],
            )
            for i in range(depth)
        )
        self.norm = build_norm_layer(norm_cfg, embed_dims)[1] if final_norm else nn.Identity()
        self._start()

    def _frozen_modules(self) -> list[nn.Module]:
        stem = [self.patch_embed, self.pos_drop] if self.frozen_stages >= 0 else []
        return [*stem, *self.blocks[: max(self.frozen_stages, 0)]]

    def forward(
        self, x: Tensor, image_shapes: Sequence[tuple[int, int]] | None = None
    ) -> tuple[Tensor, ...]:
        """Compute the feature maps of the blocks in ``out_indices``.

        Args:
            x: Images ``(B, in_channels, height, width)``.
            image_shapes: Height and width in pixels of each image without the batch's padding; None
                if there is none.

        Returns:
            One map ``(B, C, H, W)`` for each, in the order of the blocks; a side is ceil(side /
            patch side).
        """
        x, hw_shape = self.patch_embed(x)  # (B, H * W, C)
        x = self.pos_drop(self._add_position(x, hw_shape))
        is_valid = self.padding_mask.valid_tokens(image_shapes, 0, x, hw_shape)
        mask = () if is_valid is None else (is_valid,)
        outs = self.blocks(x, hw_shape, self.out_indices, *mask)
        outs[-1] = self.norm(outs[-1])
        return tuple(out.unflatten(1, hw_shape).permute(0, 3, 1, 2).contiguous() for out in outs)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's layer depth and the number of depths, see :mod:`~.layer_depth`."""
        return vit_layer_depth(param_name, prefix, len(self.blocks))

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Copy timm's shared relative positions to every block; resize the position embedding.

        See :meth:`AdaptiveModule.adapt_state_dict`.
        """
        shared = f'{prefix}shared_rel_pos.'
        for name in [name for name in state_dict if name.startswith(shared)]:
            tensor = state_dict.pop(name)
            for i in range(len(self.blocks)):
                state_dict[f'{prefix}blocks.{i}.attn.rel_pos.{name.removeprefix(shared)}'] = tensor
        name = f'{prefix}pos_embed'
        if name in state_dict and self.pos_embed is not None:
            tokens = (state_dict.get(f'{prefix}{token}') for token in _OTHER_TOKENS)
            extra = sum(token.shape[1] for token in tokens if token is not None and token.ndim == 3)
            noted = local_metadata.get('pretrain_grid')
            position = without_other_tokens(state_dict[name], extra, self.pretrain_grid, noted)
            state_dict[name] = position
        return super().adapt_state_dict(state_dict, prefix, local_metadata)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Save the grid in the metadata, which also identifies files of ViTGAB."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['pretrain_grid'] = self.pretrain_grid
