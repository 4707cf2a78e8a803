"""Adaptive average pooling for exported graphs with dynamic image sizes."""

import torch
from torch import Tensor, nn


class OpenAdaptiveAvgPool2d(nn.Module):
    """Adaptive average pooling as two matrix multiplications, exportable with dynamic sizes.

    Exporters unroll ``nn.AdaptiveAvgPool2d`` for a fixed size and reject it for a dynamic one.

    Args:
        output_size: Height and width of the output; None for those of the input.
    """

    def __init__(self, output_size: tuple[int | None, int | None]) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``(B, C, H, W)`` to ``(B, C, *output_size)``."""
        rows = _averages(x.shape[2], self.output_size[0], x)  # (Ho, H)
        columns = _averages(x.shape[3], self.output_size[1], x)  # (Wo, W)
        return rows @ x @ columns.t()


def _averages(side: int, output_side: int | None, like: Tensor) -> Tensor:
    """Compute weights ``(output_side, side)`` that average the inputs of each output's bin."""
    if output_side is None:
        output_side = side
    bins = torch.arange(output_side, device=like.device)[:, None]
    places = torch.arange(side, device=like.device)[None, :]
    starts = bins * side // output_side
    stops = ((bins + 1) * side + output_side - 1) // output_side
    is_inside = ((places >= starts) & (places < stops)).to(like.dtype)
    return is_inside / is_inside.sum(dim=1, keepdim=True)


def open_pooling_(module: nn.Module) -> None:
    """Replace every ``nn.AdaptiveAvgPool2d`` in a module by :class:`OpenAdaptiveAvgPool2d`."""
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d):
            size = child.output_size
            height, width = size if isinstance(size, tuple) else (size, size)
            setattr(module, name, OpenAdaptiveAvgPool2d((height, width)))
        else:
            open_pooling_(child)
