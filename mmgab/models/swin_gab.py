"""SwinGAB: Swin Transformer backbone with a Gaussian attention bias in every window attention."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from mmgab.checkpoints import as_stock_state_dict, rename_to_openmmlab
from mmgab.layers.attention_backends import check_backend
from mmgab.layers.context_broadcast import build_broadcasts
from mmgab.layers.drop_path import linear_rates
from mmgab.layers.gated_attention import gates_of_places
from mmgab.layers.padding_mask import PaddingMask
from mmgab.layers.patch_embedding import PatchEmbedding
from mmgab.layers.patch_merging import PatchMerging
from mmgab.layers.swin_block import GELU, LAYER_NORM, SwinBlockSequence
from mmgab.layers.validation import (
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
from mmgab.layers.window_attention import WindowMSA
from mmgab.registry import MODELS

from .backbone import Backbone, attention_maker
from .init_cfg import checked_init_cfg
from .layer_depth import swin_layer_depth

_PAPER_GAUSSIAN: dict = {}  # GaussianBias' own defaults


@MODELS.register_module()
class SwinGAB(Backbone):
    """Swin Transformer (arXiv 2103.14030) with a Gaussian attention bias (arXiv 2305.04722).

    Takes every argument of MMDetection's and MMSegmentation's ``SwinTransformer`` with the same
    meaning and default, and has the same tensor names. With ``gab_cfg=None`` it is that network.
    With a Gaussian, every window attention has two more parameters, ``gaussian.amplitude`` and
    ``gaussian.sigma``. All parameters are initialised in the constructor; :meth:`init_weights`
    only loads the checkpoint of ``init_cfg``. Images may have any size from 1 x 1 pixel up.

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
        with_cp: Activation checkpointing. True recomputes complete blocks in backward;
            ``'selective'`` recomputes only the hidden activations of their feed-forward networks,
            which are two fifths of a block's saved memory and one ninth of its compute, and
            attention weights that would be saved.
        pretrained: Deprecated: ``init_cfg=dict(type='Pretrained', checkpoint=...)``.
        convert_weights: Deprecated, has no effect: the layout of a checkpoint is detected.
        frozen_stages: 0 freezes the patch embedding, ``n`` also the first ``n`` stages with their
            output norms; -1 freezes nothing. Takes effect here, before an optimizer is built.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or ``None``, with any argument of
            :func:`mmgab.checkpoints.load`, which documents the supported files.
        gab_cfg: Arguments of :class:`~mmgab.layers.gaussian_bias.GaussianBias`, the same for all
            layers, by default the paper's; ``None`` is the baseline Swin without a Gaussian.
        attn_backend: Attention implementation. ``'sdpa'`` is one operator
            (``scaled_dot_product_attention``; on a CPU chunks of windows) that saves its inputs for
            backward, and on a CPU in reduced precision the attention weights;
            ``'triton'`` is fused in mmgab's own kernels for NVIDIA GPUs (:mod:`mmgab.kernels`);
            ``'explicit'`` is unfused (eager) and saves the probabilities; ``'auto'`` is ``'sdpa'``
            wherever the settings allow it.
        cb_cfg: Context Broadcasting (arXiv 2210.08457): ``type`` is ``'CB'``, ``'CBS'`` or
            ``'CBG'``, see :mod:`mmgab.layers.context_broadcast`; ``stages`` are those that have
            it, by default all. ``None`` disables it. Means are over valid tokens if :meth:`forward`
            receives ``image_shapes``, which :class:`mmgab.hooks.ImageShapesHook` passes; otherwise
            they include the batch's padding.
        gpsa_cfg: Gated positional self-attention (arXiv 2103.10697): arguments of
            :class:`~mmgab.layers.gated_attention.LocalPosition`, and ``stages``, by default all;
            ``None`` is standard window attention.
        shift_single_window: Shift windows also along a side of a map that one window covers, as the
            stock detectors and segmentors do. The stock classifiers do not, whose last map at 224 x
            224 pixels is a single window: their weights fit a network with False there.
        attention: Custom attention, ``dict(type='my_package.MyAttention', ...)``, a subclass of
            :class:`~mmgab.layers.window_attention.WindowMSA` with its further arguments, see
            docs/adding_a_method.md.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range or does not fit another one.
    """

    position_name = 'absolute_pos_embed'

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
        attention: Mapping | None = None,
    ) -> None:
        super().__init__(init_cfg=checked_init_cfg(pretrained, init_cfg))
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
        self.convert_weights, self.frozen_stages = convert_weights, frozen_stages
        self.out_indices = out_indices
        self.num_features = [embed_dims * 2**i for i in range(len(depths))]

        patch_norm_cfg = norm_cfg if patch_norm else None
        self.patch_embed = PatchEmbedding(in_channels, embed_dims, patch_size, patch_norm_cfg)
        self._make_position(
            use_abs_pos_embed, patch_size, embed_dims, pretrain_img_size=pretrain_img_size
        )
        self.drop_after_pos = nn.Dropout(drop_rate)

        block = dict(
            window_size=positive_pair('window_size', window_size),
            drop_rate=drop_rate,
            act_cfg=act_cfg,
            norm_cfg=norm_cfg,
            with_cp=with_cp,
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            attn_drop_rate=attn_drop_rate,
            attn_backend=attn_backend,
            shift_single_window=shift_single_window,
            make_attention=attention_maker(attention, WindowMSA),
            gab_cfg=gab_cfg,
        )
        rates = linear_rates(drop_path_rate, depths)
        broadcasts = build_broadcasts(cb_cfg, len(depths))
        gates = gates_of_places(gpsa_cfg, len(depths))
        self.padding_mask = PaddingMask(patch_size, strides[1 : len(depths)])
        merges = [positive_pair('strides', stride) for stride in strides[1 : len(depths)]] + [None]
        self.stages = nn.ModuleList()
        for i, (channels, merge) in enumerate(zip(self.num_features, merges, strict=True)):
            stage = SwinBlockSequence(
                depths[i],
                rates[i],
                downsample=PatchMerging(channels, merge, patch_norm_cfg) if merge else None,
                embed_dims=channels,
                num_heads=num_heads[i],
                feedforward_channels=int(mlp_ratio * channels),
                broadcast=broadcasts[i],
                gpsa_cfg=gates[i],
                **block,
            )
            self.stages.append(stage)
        for i in out_indices:
            self.add_module(f'norm{i}', build_norm_layer(norm_cfg, self.num_features[i])[1])
        self._start()

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
        x = self.drop_after_pos(self._add_position(x, hw_shape))
        outs = []
        for i, stage in enumerate(self.stages):
            is_valid = self.padding_mask.valid_tokens(image_shapes, i, x, hw_shape)
            # Without padding the stage is called with the stock signature.
            mask = () if is_valid is None else (is_valid,)
            x, hw_shape, out, out_shape = stage(x, hw_shape, *mask)
            if i in self.out_indices:
                out = getattr(self, f'norm{i}')(out).unflatten(1, out_shape)
                outs.append(out.permute(0, 3, 1, 2).contiguous())  # (B, Ci, Hi, Wi)
        return tuple(outs)

    def _frozen_modules(self) -> Iterator[nn.Module]:
        if self.frozen_stages >= 0:
            yield from (self.patch_embed, self.drop_after_pos)
        for i in range(self.frozen_stages):
            yield self.stages[i]
            if i in self.out_indices:
                yield getattr(self, f'norm{i}')

    def as_stock_state_dict(self) -> dict[str, Tensor]:
        """Return a stock Swin's state dict, see :func:`mmgab.checkpoints.as_stock_state_dict`."""
        return as_stock_state_dict(self)

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's layer depth and the number of depths, see :mod:`~.layer_depth`."""
        stages = [stage for stage in self.stages if isinstance(stage, SwinBlockSequence)]
        return swin_layer_depth(param_name, prefix, [len(stage.blocks) for stage in stages])

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Rename another project's tensors and resize the position embedding.

        See :meth:`AdaptiveModule.adapt_state_dict`.

        Raises:
            ValueError: If two tensors have the same name after renaming.
        """
        rename_to_openmmlab(state_dict, prefix)
        return super().adapt_state_dict(state_dict, prefix, local_metadata)
