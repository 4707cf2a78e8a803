"""SwinGAB: the stock Swin backbone with a Gaussian attention bias in every window attention."""

from collections.abc import Mapping, MutableMapping, Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mmgab.checkpoints import as_stock_state_dict, load, rename_to_openmmlab
from mmgab.layers.adaptive import AdaptiveModule
from mmgab.layers.arguments import (
    check_choice,
    check_flags,
    check_patch,
    check_rates,
    check_scale,
    check_stage_choices,
    check_stages,
    check_widths,
    positive_pair,
)
from mmgab.layers.biased_attention import check_backend
from mmgab.layers.context_broadcast import build_broadcasts
from mmgab.layers.drop_path import linear_rates
from mmgab.layers.gated_attention import GatedWindowMSA, build_attentions
from mmgab.layers.image_shapes import ImageShapes
from mmgab.layers.patch_embedding import PatchEmbedding
from mmgab.layers.patch_merging import PatchMerging
from mmgab.layers.position_embedding import fit_tokens, resize_tokens
from mmgab.layers.swin_block import GELU, LAYER_NORM, SwinBlockSequence
from mmgab.layers.window_attention import WindowMSA
from mmgab.registry import MODELS

from .frozen_stages import FrozenStages
from .init_cfg import StartsFromCheckpoint, checked_init_cfg
from .layer_depth import swin_layer_depth

_PAPER_GAUSSIAN: dict = {}  # GaussianBias' own defaults


@MODELS.register_module()
class SwinGAB(AdaptiveModule, FrozenStages, StartsFromCheckpoint, BaseModule):
    """Swin Transformer (arXiv 2103.14030) with a Gaussian attention bias (arXiv 2305.04722).

    Takes every argument of MMDetection's and MMSegmentation's ``SwinTransformer`` with the same
    meaning and default, and has the same tensor names: without ``gab_cfg`` it *is* that network.
    With it, every window attention has two more parameters, ``gaussian.amplitude`` and
    ``gaussian.sigma``. All parameters are initialised in the constructor; :meth:`init_weights` only
    loads what ``init_cfg`` names. Images may have any size from 1 x 1 pixel up.

    Args:
        pretrain_img_size: Height and width, in pixels, that an absolute position embedding is made
            for; for other images it is resized.
        in_channels: Channels of the image.
        embed_dims: Channels of the first stage; each further stage has twice as many.
        patch_size: Side of a patch, in pixels.
        window_size: Side of a window, or height and width, in tokens.
        mlp_ratio: Hidden channels of the feed-forward networks, in multiples of their input's.
        depths: Blocks of each stage.
        num_heads: Attention heads of each stage.
        strides: Stride of the patch embedding, equal to ``patch_size``, and of each patch merging.
        out_indices: Stages whose output is returned. Those left out have no output norm, so that
            no parameter stays unused in distributed training.
        qkv_bias: Add a learnable bias to queries, keys and values.
        qk_scale: Factor on the scores; ``None`` is ``head_dim ** -0.5``.
        patch_norm: Norm layers in patch embedding and patch merging.
        drop_rate: Dropout probability after projections and after the patch embedding.
        attn_drop_rate: Dropout probability of attention weights.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 in the first.
        use_abs_pos_embed: Add a learned absolute position embedding to the patches.
        act_cfg: Activation of the feed-forward networks.
        norm_cfg: All norm layers.
        with_cp: Compute blocks again in backward, to save memory: True for whole blocks,
            ``'selective'`` for the hidden channels of their feed-forward networks alone, which are
            two fifths of what a block keeps and one ninth of what it computes.
        pretrained: Deprecated: ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        convert_weights: Deprecated, has no effect: the layout of a checkpoint is detected.
        frozen_stages: 0 freezes the patch embedding, ``n`` also the first ``n`` stages with their
            output norms; -1 freezes nothing. Takes effect here, before an optimizer is built.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or ``None``, with any argument of
            :func:`mmgab.checkpoints.load`, which says what may be loaded.
        gab_cfg: Arguments of :class:`~.gaussian_bias.GaussianBias`, the same for all layers, by
            default the paper's; ``None`` is plain Swin, as in the stock backbones.
        attn_backend: How attention is computed: ``'sdpa'`` with torch's fused kernel, keeping only
            its inputs for backward; ``'explicit'`` step by step, keeping the probabilities;
            ``'auto'`` fused unless attention weights are dropped.
        cb_cfg: Context Broadcasting (arXiv 2210.08457): ``type`` is ``'CB'``, ``'CBS'`` or
            ``'CBG'``, see :mod:`~.context_broadcast`; ``stages`` are those that have it, by default
            all. ``None`` is none. Means are over an image without the batch's padding where
            :class:`mmgab.engine.ImageShapesHook` tells its shape, else over all tokens.
        gpsa_cfg: Gated positional self-attention (arXiv 2103.10697): arguments of
            :class:`~.gated_attention.Gates`, and ``stages``, by default all; ``None`` is
            plain window attention.
        shift_single_window: Shift windows also along a side of a map that one window covers, as the
            stock detectors and segmentors do. The stock classifiers do not, whose last map at 224 x
            224 pixels is a single window: their weights fit a network with False there.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range or does not fit another one.
    """

    loader = staticmethod(load)

    def __init__(
        self,
        pretrain_img_size: int | tuple[int, ...] = 224,
        in_channels: int = 3,
        embed_dims: int = 96,
        patch_size: int | tuple[int, int] = 4,
        window_size: int | tuple[int, int] = 7,
        mlp_ratio: float = 4,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        strides: Sequence[int] = (4, 2, 2, 2),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = False,
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = LAYER_NORM,
        with_cp: bool | str = False,
        pretrained: str | None = None,
        convert_weights: bool = False,
        frozen_stages: int = -1,
        init_cfg: Mapping | None = None,
        gab_cfg: Mapping | None = _PAPER_GAUSSIAN,
        attn_backend: str = 'auto',
        cb_cfg: Mapping | None = None,
        gpsa_cfg: Mapping | None = None,
        shift_single_window: bool = True,
    ) -> None:
        super().__init__(init_cfg=checked_init_cfg(pretrained, init_cfg, load))
        patch_size = positive_pair('patch_size', patch_size)
        check_stages(depths, num_heads, strides, embed_dims)
        check_patch(patch_size, strides)
        check_stage_choices(out_indices, frozen_stages, len(depths))
        check_widths(in_channels, embed_dims, mlp_ratio)
        check_scale(qk_scale)
        check_rates(
            drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, drop_path_rate=drop_path_rate
        )
        check_choice('with_cp', with_cp, (True, False, 'selective'))
        check_flags(shift_single_window=shift_single_window)
        check_backend(attn_backend, attn_drop_rate, gpsa_cfg is not None)
        self.convert_weights = convert_weights
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.num_features = [embed_dims * 2**i for i in range(len(depths))]

        patch_norm_cfg = norm_cfg if patch_norm else None
        self.patch_embed = PatchEmbedding(in_channels, embed_dims, patch_size, patch_norm_cfg)
        height, width = positive_pair('pretrain_img_size', pretrain_img_size)
        self.pretrain_grid = positive_pair(
            'pretrain_img_size // patch_size', (height // patch_size[0], width // patch_size[1])
        )
        shape = (1, self.pretrain_grid[0] * self.pretrain_grid[1], embed_dims)
        position = nn.Parameter(torch.empty(shape)) if use_abs_pos_embed else None
        self.register_parameter('absolute_pos_embed', position)
        self.drop_after_pos = nn.Dropout(drop_rate)

        attention = dict(qkv_bias=qkv_bias, qk_scale=qk_scale, attn_drop_rate=attn_drop_rate)
        attention.update(attn_backend=attn_backend, shift_single_window=shift_single_window)
        block = dict(drop_rate=drop_rate, act_cfg=act_cfg, norm_cfg=norm_cfg, with_cp=with_cp)
        block.update(attention, window_size=positive_pair('window_size', window_size))
        drop_path_rates = linear_rates(drop_path_rate, depths)
        broadcasts = build_broadcasts(cb_cfg, len(depths))
        attentions = build_attentions(gpsa_cfg, len(depths))
        self.image_shapes = ImageShapes(patch_size, strides[1 : len(depths)])
        merges = [positive_pair('strides', stride) for stride in strides[1 : len(depths)]] + [None]
        self.stages = nn.ModuleList()
        for i, channels in enumerate(self.num_features):
            stage = SwinBlockSequence(
                depths[i],
                drop_path_rates[i],
                downsample=PatchMerging(channels, merges[i], patch_norm_cfg) if merges[i] else None,
                embed_dims=channels,
                num_heads=num_heads[i],
                feedforward_channels=int(mlp_ratio * channels),
                gab_cfg=gab_cfg,
                broadcast=broadcasts[i],
                make_attention=attentions[i],
                **block,
            )
            self.stages.append(stage)
        for i in out_indices:
            self.add_module(f'norm{i}', build_norm_layer(norm_cfg, self.num_features[i])[1])
        self._reset_parameters()
        self.freeze_()

    def _reset_parameters(self) -> None:
        """Initialise as the stock backbones do; bias tables and Gaussians have done so already."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, GatedWindowMSA):
                module.init_values_()
        if self.absolute_pos_embed is not None:
            trunc_normal_(self.absolute_pos_embed, std=0.02)

    def forward(
        self, x: Tensor, image_shapes: Sequence[tuple[int, int]] | None = None
    ) -> tuple[Tensor, ...]:
        """Compute the feature maps of the stages in ``out_indices``.

        Args:
            x: Images ``(B, in_channels, H, W)``.
            image_shapes: Height and width in pixels of each image without the batch's padding; None
                if there is none.

        Returns:
            One map for each stage in ``out_indices``, in the order of the stages: ``(B,
            embed_dims * 2**i, Hi, Wi)``, where a side is ceil(side / patch_size) in stage 0 and is
            halved, rounding up, by each patch merging of stride 2.
        """
        x, hw_shape = self.patch_embed(x)  # (B, H0 * W0, C)
        if self.absolute_pos_embed is not None:
            x = x + self._position_embedding(hw_shape)
        x = self.drop_after_pos(x)
        outs = []
        for i, stage in enumerate(self.stages):
            is_real = self.image_shapes.real_tokens(image_shapes, i, x, hw_shape)
            # As the stock one is called, where there is no padding to tell of.
            mask = () if is_real is None else (is_real,)
            x, hw_shape, out, out_shape = stage(x, hw_shape, *mask)
            if i in self.out_indices:
                out = getattr(self, f'norm{i}')(out).unflatten(1, out_shape)
                outs.append(out.permute(0, 3, 1, 2).contiguous())  # (B, Ci, Hi, Wi)
        return tuple(outs)

    def _position_embedding(self, hw_shape: tuple[int, int]) -> Tensor:
        """Absolute position embedding ``(1, H * W, C)`` for a grid of any size."""
        return resize_tokens(self.absolute_pos_embed, self.pretrain_grid, hw_shape)

    def fold_(self) -> 'SwinGAB':
        """Add every Gaussian to its table and drop it: a stock Swin, the same function.

        For deployment; :func:`mmgab.checkpoints.fold` does the same to a checkpoint.

        Returns:
            The network itself.

        Raises:
            ValueError: If it has no Gaussian: it was folded before, or is a plain Swin.
        """
        layers = [m for m in self.modules() if isinstance(m, WindowMSA) and m.gaussian is not None]
        if not layers:
            raise ValueError(
                'nothing to fold: no layer has a Gaussian (folded already, or plain; gates of '
                'gpsa_cfg are no part of a table)'
            )
        for layer in layers:
            layer.fold_()
        return self

    def as_stock_state_dict(self) -> dict[str, Tensor]:
        """Make a stock Swin's state dict, see :func:`mmgab.checkpoints.as_stock_state_dict`."""
        return as_stock_state_dict(self)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Depth of a parameter, and number of depths, see :mod:`~.layer_depth`."""
        return swin_layer_depth(param_name, prefix, [len(stage.blocks) for stage in self.stages])

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Bring another project's names, and a position embedding of another size, to our form.

        See :meth:`AdaptiveModule.adapt_state_dict`.

        Raises:
            ValueError: If two tensors have one name after that.
        """
        rename_to_openmmlab(state_dict, prefix)
        name = f'{prefix}absolute_pos_embed'
        if name not in state_dict or self.absolute_pos_embed is None:
            return []
        noted = local_metadata.get('pretrain_grid')
        state_dict[name], is_resized = fit_tokens(state_dict[name], self.pretrain_grid, noted)
        return [name] if is_resized else []

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Note the grid of a position embedding, whose length does not tell it."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.absolute_pos_embed is not None and hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['pretrain_grid'] = self.pretrain_grid
