"""Linear layers as transformers start them."""

from torch import nn


def make_linear(in_channels: int, out_channels: int, bias: bool = True) -> nn.Linear:
    """Make a linear layer whose weights are drawn as Swin's and ViT's are, its bias zero."""
    linear = nn.Linear(in_channels, out_channels, bias)
    nn.init.trunc_normal_(linear.weight, std=0.02)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear
