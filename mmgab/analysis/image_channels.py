"""Number of input channels of a network: 3 for photographs, 1 or more for other sensors."""

from torch import nn


def image_channels(network: nn.Module) -> int:
    """Read how many channels a network's images have from its patch projection.

    That is the first convolution of a Swin, a ViT or a convolutional network, whichever toolbox it
    is of; of a detector, segmentor or classifier, the first of its backbone.

    Raises:
        ValueError: If there is no convolution.
    """
    backbone = getattr(network, 'backbone', network)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise ValueError(
        f'{type(backbone).__name__} has no convolution to infer the number of image channels from'
    )
