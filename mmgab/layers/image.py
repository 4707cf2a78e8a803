"""Checks of a batch of images before the patch embedding."""

import torch
from torch import Tensor, nn


def check_image(image: Tensor, projection: nn.Module) -> None:
    """Check a batch of images against the weights that project their patches.

    Skipped while the network is traced or compiled, and where the projection is not a
    ``nn.Conv2d``.

    Args:
        image: ``(B, in_channels, height, width)``.
        projection: Module that projects the patches.

    Raises:
        TypeError: If the dtype is not floating point, or outside of autocast is not that of the
            weights.
        ValueError: If the number of dimensions or channels is wrong, or a side has 0 pixels.
    """
    is_graph = torch.jit.is_tracing() or torch.compiler.is_compiling()
    if is_graph or not isinstance(projection, nn.Conv2d):
        return
    weight = projection.weight
    if not image.is_floating_point():
        raise TypeError(f'image must have a floating-point dtype, got {image.dtype}')
    kind = image.device.type
    is_cast = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    if image.dtype != weight.dtype and not is_cast:
        raise TypeError(f'image must be {weight.dtype} like the weights, got {image.dtype}')
    channels = weight.shape[1]
    if image.ndim != 4 or image.shape[1] != channels or min(image.shape[2:]) < 1:
        raise ValueError(
            f'image must have shape (batch, {channels}, height, width) with sides of at least '
            f'1 pixel, got {tuple(image.shape)}'
        )
