"""One Swin block and one stage of them (Swin Transformer, arXiv 2103.14030, Figure 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmcv.cnn import build_norm_layer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .drop_path import DropPath
from .feed_forward import FeedForward
from .fused_norms import apply_norm
from .patch_merging import PatchMerging
from .window_attention import ShiftWindowMSA

GELU = dict(type='GELU')
LAYER_NORM = dict(type='LN')


class SwinBlock(nn.Module):
    """Swin block: (shifted) window attention and an MLP, each pre-norm with a residual.

    Args:
        embed_dims: Channels ``C``.
        num_heads: Attention heads.
        feedforward_channels: Hidden channels of the feed-forward network.
        window_size: Height and width of the window, in tokens.
        shift: Shift the windows by half their size.
        drop_rate: Dropout probability after the projections.
        drop_path_rate: Probability that an image's branch is dropped (stochastic depth).
        act_cfg: Activation of the feed-forward network.
        norm_cfg: Norm layers.
        with_cp: Activation checkpointing: True has the stage recompute the block in backward;
            ``'selective'`` recomputes only the hidden activations of the feed-forward network, and
            the attention weights where they would be saved.
        broadcast: A class of :mod:`~.context_broadcast`, the last step of the feed-forward
            network; None for no Context Broadcasting.
        attention: Further arguments of :class:`~.window_attention.WindowMSA`.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        window_size: tuple[int, int] = (7, 7),
        shift: bool = False,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = LAYER_NORM,
        with_cp: bool | str = False,
        broadcast: type[nn.Module] | None = None,
        **attention: Any,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp is True
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = ShiftWindowMSA(
            embed_dims, num_heads, window_size, shift, proj_drop_rate=drop_rate, **attention
        )
        if with_cp == 'selective':
            self.attn.w_msa.keeps_weights = False
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FeedForward(
            embed_dims,
            feedforward_channels,
            act_cfg,
            drop_rate,
            keep_hidden=with_cp != 'selective',
        )
        self.broadcast = None if broadcast is None else broadcast(embed_dims)
        self.drop_path = DropPath(drop_path_rate)

    def forward(
        self, x: Tensor, hw_shape: tuple[int, int], is_valid: Tensor | None = None
    ) -> Tensor:
        """Transform tokens.

        Args:
            x: ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.
            is_valid: Boolean ``(B, H * W)``, True where a token belongs to the image, False for
                the batch's padding; None if all tokens are valid.

        Returns:
            ``(B, H * W, C)``.
        """
        w_msa = getattr(self.attn, 'w_msa', self.attn)  # a custom attention may lack it
        normed = apply_norm(self.norm1, x, self.attn, w_msa)
        x = self.drop_path(x, self.attn(normed, hw_shape))
        normed = apply_norm(self.norm2, x, self.ffn)
        if getattr(self.ffn, 'add_identity', False):  # MMCV's FFN adds the residual itself
            return self.ffn(normed, identity=x)
        branch = self.ffn(normed)
        if self.broadcast is not None:
            branch = self.broadcast(branch, is_valid)
        return self.drop_path(x, branch)


class SwinBlockSequence(nn.Module):
    """The blocks of one Swin stage, every second one shifted, and the patch merging after them.

    A block ``with_cp`` is recomputed in backward (activation checkpointing).

    Args:
        depth: Number of blocks.
        drop_path_rates: One rate for each block.
        downsample: Patch merging to the next stage; ``None`` after the last one.
        block: Arguments of :class:`SwinBlock`.
    """

    def __init__(
        self,
        depth: int,
        drop_path_rates: Sequence[float],
        downsample: PatchMerging | None,
        **block: Any,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(shift=i % 2 == 1, drop_path_rate=drop_path_rates[i], **block)
            for i in range(depth)
        )
        self.downsample = downsample

    def forward(
        self, x: Tensor, hw_shape: tuple[int, int], is_valid: Tensor | None = None
    ) -> tuple[Tensor, tuple[int, int], Tensor, tuple[int, int]]:
        """Run the blocks and merge patches.

        Args:
            x: ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.
            is_valid: See :meth:`SwinBlock.forward`.

        Returns:
            Input of the next stage with its ``(H, W)``, then output of this stage with its
            ``(H, W)``. Both are the same without a merge.
        """
        mask = () if is_valid is None else (is_valid,)
        for block in self.blocks:
            if getattr(block, 'with_cp', False):
                x = checkpoint(block, x, hw_shape, *mask, use_reentrant=False)
            else:
                x = block(x, hw_shape, *mask)
        if self.downsample is None:
            return x, hw_shape, x, hw_shape
        return *self.downsample(x, hw_shape), x, hw_shape
