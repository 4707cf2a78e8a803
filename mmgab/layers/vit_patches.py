"""Patch embedding of a plain ViT, with timm's parameter names."""

from torch import Tensor, nn

from .image import check_image
from .patch_embedding import pad_to_patches


class ViTPatches(nn.Module):
    """Project every patch of an image to a token.

    Images are zero-padded at the bottom and right to a multiple of the patch size.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels ``C`` of a token.
        patch_size: Height and width of a patch, in pixels.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: tuple[int, int]) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, embed_dims, patch_size, patch_size)

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
        check_image(x, self.proj)
        x = self.proj(pad_to_patches(x, self.patch_size))  # (B, C, H, W)
        return x.flatten(2).transpose(1, 2), (x.shape[2], x.shape[3])
