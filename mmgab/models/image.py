"""What an image must be before it is cut into patches."""

import torch
from torch import Tensor


def check_image(image: Tensor, weight: Tensor) -> None:
    """Check a batch of images against the weights that project their patches.

    Skipped where a graph is made of the network: a graph is for the images that it was made with.

    Args:
        image: ``(B, in_channels, height, width)``.
        weight: ``(C, in_channels, patch height, patch width)``.

    Raises:
        TypeError: If it is no tensor of real floating-point numbers, or not of the weights' type
            outside of autocast.
        ValueError: If it has another number of dimensions or channels, or a side of 0 pixels.
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return
    if not image.is_floating_point():
        raise TypeError(f'image must hold floating-point numbers, got {image.dtype}')
    kind = image.device.type
    if image.dtype != weight.dtype and not torch.is_autocast_enabled(kind):
        raise TypeError(f'image must be {weight.dtype} as the weights are, got {image.dtype}')
    channels = weight.shape[1]
    if image.ndim != 4 or image.shape[1] != channels or min(image.shape[2:]) < 1:
        raise ValueError(
            f'image must have shape (batch, {channels}, height, width) with sides of 1 pixel at '
            f'least, got {tuple(image.shape)}'
        )
