"""Block of a plain ViT (arXiv 2010.11929, Figure 1), with timm's parameter names."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .attention import BiasedMSA
from .drop_path import DropPath
from .fused_norms import apply_norm
from .initial_values import DrawsInitialValues, draw_linear_


class LayerScale(nn.Module):
    """LayerScale: a learned factor for each channel of a branch (arXiv 2103.17239, equation 3).

    Args:
        channels: Channels ``C``.
        start: Initial value of all factors.
    """

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), float(start)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale ``(..., C)`` by the factors."""
        return x * self.gamma


class Mlp(DrawsInitialValues):
    """Two linear layers with an activation between them.

    Args:
        embed_dims: Channels ``C``.
        hidden: Hidden channels.
        act_cfg: The activation.
        drop_rate: Dropout probability after the activation and after the output.
    """

    def __init__(self, embed_dims: int, hidden: int, act_cfg: Mapping, drop_rate: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed_dims, hidden)
        self.act = build_activation_layer(act_cfg)
        self.fc2 = nn.Linear(hidden, embed_dims)
        self.drop = nn.Dropout(drop_rate)

    def draw_(self) -> None:
        """Initialise both layers."""
        draw_linear_(self.fc1)
        draw_linear_(self.fc2)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``(..., C)``."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class ViTBlock(nn.Module):
    """ViT block: attention and an MLP, each pre-norm with a residual.

    Args:
        embed_dims: Channels ``C``.
        mlp_hidden: Hidden channels of the feed-forward network.
        make_attention: Class or factory of the attention, called with ``embed_dims`` and its
            arguments.
        broadcast: A class of :mod:`~.context_broadcast`, the last step of the feed-forward
            network; None for no Context Broadcasting.
        drop_rate: Dropout probability after the projections.
        drop_path_rate: Probability that an image's branch is dropped (stochastic depth).
        layer_scale: Initial value of LayerScale in both branches; None for no LayerScale.
        act_cfg: Activation of the feed-forward network.
        norm_cfg: Norm layers.
        with_cp: Activation checkpointing: the block is recomputed in backward.
        attention: Arguments of the attention.
    """

    def __init__(
        self,
        embed_dims: int,
        mlp_hidden: int,
        make_attention: Callable[..., BiasedMSA],
        broadcast: type[nn.Module] | None,
        drop_rate: float,
        drop_path_rate: float,
        layer_scale: float | None,
        act_cfg: Mapping,
        norm_cfg: Mapping,
        with_cp: bool,
        **attention: Any,
    ) -> None:
        super().__init__()

        def scale() -> nn.Module:
            return nn.Identity() if layer_scale is None else LayerScale(embed_dims, layer_scale)

        self.with_cp = with_cp
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = make_attention(embed_dims, proj_drop_rate=drop_rate, **attention)
        self.ls1 = scale()
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.mlp = Mlp(embed_dims, mlp_hidden, act_cfg, drop_rate)
        self.broadcast = None if broadcast is None else broadcast(embed_dims)
        self.ls2 = scale()
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
        normed = apply_norm(self.norm1, x, self.attn)
        x = self.drop_path(x, self.ls1(self.attn(normed, hw_shape)))
        branch = self.mlp(self.norm2(x))
        if self.broadcast is not None:
            branch = self.broadcast(branch, is_valid)
        return self.drop_path(x, self.ls2(branch))


class ViTBlockSequence(nn.ModuleList):
    """The blocks of a plain ViT.

    A block ``with_cp`` is recomputed in backward (activation checkpointing).
    """

    def forward(
        self,
        x: Tensor,
        hw_shape: tuple[int, int],
        out_indices: Sequence[int],
        is_valid: Tensor | None = None,
    ) -> list[Tensor]:
        """Run the blocks and collect the requested outputs.

        Args:
            x: ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.
            out_indices: Blocks whose output is returned.
            is_valid: See :meth:`ViTBlock.forward`.

        Returns:
            The output of each block in ``out_indices``, ``(B, H * W, C)``.
        """
        mask = () if is_valid is None else (is_valid,)
        outs = []
        for i, block in enumerate(self):
            if getattr(block, 'with_cp', False):
                x = checkpoint(block, x, hw_shape, *mask, use_reentrant=False)
            else:
                x = block(x, hw_shape, *mask)
            if i in out_indices:
                outs.append(x)
        return outs
