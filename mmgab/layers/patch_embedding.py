"""Image to patches (Swin Transformer, arXiv 2103.14030, section 3.1)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from mmgab.functional import is_exporting, is_transformed

from .image import check_image


class PatchEmbedding(nn.Module):
    """Project every patch of an image to a token.

    Images are zero-padded at the bottom and right to a multiple of the patch size.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels ``C`` of a token.
        patch_size: Height and width of a patch, in pixels.
        norm_cfg: Norm of the tokens; None for none.
    """

    def __init__(
        self,
        in_channels: int,
        embed_dims: int,
        patch_size: tuple[int, int],
        norm_cfg: Mapping | None,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.projection = nn.Conv2d(in_channels, embed_dims, patch_size, patch_size)
        self.norm = nn.Identity() if norm_cfg is None else build_norm_layer(norm_cfg, embed_dims)[1]

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Project images to tokens.

        Args:
            x: Images ``(B, in_channels, height, width)``.

        Returns:
            Tokens ``(B, H * W, C)`` and ``(H, W)``, each side ceil(side / patch side).

        Raises:
            TypeError: If the images' dtype does not match the weights'.
            ValueError: If the images have another shape.
        """
        check_image(x, self.projection)
        x = pad_to_patches(x, self.patch_size)
        if x.device.type == 'cpu' and not (is_exporting() or is_transformed()):
            x = x.contiguous(memory_format=torch.channels_last)  # tokens follow without a copy
        x = self.projection(x)  # (B, C, H, W)
        hw_shape = (x.shape[2], x.shape[3])
        return self.norm(x.flatten(2).transpose(1, 2)), hw_shape


def pad_to_patches(x: Tensor, patch_size: tuple[int, int]) -> Tensor:
    """Pad images ``(B, C, height, width)`` at the bottom and right to a multiple of the patch."""
    missing_h, missing_w = (
        (side + patch - 1) // patch * patch - side
        for side, patch in zip(x.shape[2:], patch_size, strict=True)
    )
    # Always pad when compiling: a branch on the size would cause recompilations.
    if torch.compiler.is_compiling() or missing_h or missing_w:
        return F.pad(x, (0, missing_w, 0, missing_h))
    return x
