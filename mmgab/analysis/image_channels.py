"""Number of input channels of a network: 3 for photographs, 1 or more for other sensors."""

from torch import nn


def image_channels(network: nn.Module) -> int:
    """Read the number of input channels from a network's first convolution.

    For a Swin or ViT this is the patch projection. For a detector, segmentor or classifier it is
    the first convolution of the backbone.

    Raises:
        ValueError: If the network has no convolution.
    """
    backbone = getattr(network, 'backbone', network)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise ValueError(
        f'{type(backbone).__name__} has no convolution to infer the number of image channels from'
    )
