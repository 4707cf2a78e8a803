"""What an image must be before it is cut into patches."""

import torch
from torch import Tensor, nn


def check_image(image: Tensor, projection: nn.Module) -> None:
    """Check a batch of images against the weights that project their patches.

    Skipped where a graph is made of the network: a graph is for the images that it was made with.
    Skipped too where something else than a convolution projects patches.

    Args:
        image: ``(B, in_channels, height, width)``.
        projection: What projects their patches.

    Raises:
        TypeError: If it is no tensor of real floating-point numbers, or not of the weights' type
            outside of autocast.
        ValueError: If it has another number of dimensions or channels, or a side of 0 pixels.
    """
    is_graph = torch.jit.is_tracing() or torch.compiler.is_compiling()
    if is_graph or not isinstance(projection, nn.Conv2d):
        return
    weight = projection.weight
    if not image.is_floating_point():
        raise TypeError(f'image must hold floating-point numbers, got {image.dtype}')
    kind = image.device.type
    is_cast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    if image.dtype != weight.dtype and not is_cast:
        raise TypeError(f'image must be {weight.dtype} as the weights are, got {image.dtype}')
    channels = weight.shape[1]
    if image.ndim != 4 or image.shape[1] != channels or min(image.shape[2:]) < 1:
        raise ValueError(
            f'image must have shape (batch, {channels}, height, width) with sides of 1 pixel at '
            f'least, got {tuple(image.shape)}'
        )
