"""Parameters and FLOPs of a model on the meta device, where tensors have shapes and no values."""

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmgab.engine.trained_model import build_model


def build_on_meta(config: Config) -> BaseModel:
    """Build the model of a config without memory for its weights."""
    with torch.device('meta'):
        return build_model(config)


def count_parameters(model: nn.Module) -> int:
    """Count the parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_flops(backbone: nn.Module, size: tuple[int, int]) -> int:
    """Count the operations of a forward pass for one image.

    A multiply and an add are two operations. Only convolutions and matrix products are counted,
    those of attention included. The padding of the last windows is counted as well.

    On a CPU the counter would miss the fused attention of other libraries, for which it has no
    formula. On the meta device attention is made of matrix products, which it counts.

    Args:
        backbone: A network on the meta device.
        size: Height and width of the image, in pixels.
    """
    image = torch.empty(1, 3, *size, device='meta')
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        backbone(image)
    return counter.get_total_flops()
