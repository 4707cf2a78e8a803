"""Patch merging between two stages (Swin Transformer, arXiv 2103.14030, section 3.1)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from .fused_norms import apply_linear, apply_norm
from .initial_values import DrawsInitialValues, draw_linear_

_SIDE = 2  # tokens of a patch, in each direction


class PatchMerging(DrawsInitialValues):
    """Merge 2 x 2 neighbouring tokens into one with twice the channels.

    The grid is zero-padded at the bottom and right where needed. Channels are concatenated in the
    order of ``nn.Unfold``, as in OpenMMLab's checkpoints.

    Args:
        in_channels: Channels ``C``.
        stride: Rows and columns from one patch to the next, in tokens.
        norm_cfg: Norm of the concatenated channels; None for no norm.
    """

    def __init__(self, in_channels: int, stride: tuple[int, int], norm_cfg: Mapping | None) -> None:
        super().__init__()
        self.stride = stride
        joined = _SIDE * _SIDE * in_channels
        self.norm = nn.Identity() if norm_cfg is None else build_norm_layer(norm_cfg, joined)[1]
        self.in_channels, self.out_channels = in_channels, 2 * in_channels
        self.reduction = nn.Linear(joined, self.out_channels, bias=False)

    def draw_(self) -> None:
        """Initialise the projection."""
        draw_linear_(self.reduction)

    def forward(self, x: Tensor, hw_shape: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
        """Merge the tokens of a grid.

        Args:
            x: Tokens ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.

        Returns:
            Tokens ``(B, Ho * Wo, 2 * C)`` and ``(Ho, Wo)``, each side ceil(side / stride).
        """
        x = x.unflatten(1, hw_shape)
        (height, width), (step_y, step_x) = hw_shape, self.stride
        grid = ((height + step_y - 1) // step_y, (width + step_x - 1) // step_x)
        # Negative where the stride leaves extra rows or columns, which are cropped.
        missing_h, missing_w = (
            (n - 1) * step + _SIDE - side
            for n, step, side in zip(grid, self.stride, hw_shape, strict=True)
        )
        # Always pad when compiling: a branch on the size would cause recompilations.
        if torch.compiler.is_compiling() or missing_h or missing_w:
            x = F.pad(x, (0, 0, 0, missing_w, 0, missing_h))
        # Slices, not nn.Unfold: views here, and no transposes in exported graphs.
        rows, cols = ((n - 1) * step + 1 for n, step in zip(grid, self.stride, strict=True))
        corners = [
            x[:, top : top + rows : self.stride[0], left : left + cols : self.stride[1]]
            for top in range(_SIDE)
            for left in range(_SIDE)
        ]
        x = torch.stack(corners, dim=-1).flatten(3).flatten(1, 2)  # (B, Ho * Wo, 4 * C)
        return apply_linear(self.reduction, apply_norm(self.norm, x)), grid
