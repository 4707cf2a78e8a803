"""What layers start from; a network asks each of its layers once it is whole."""

from abc import abstractmethod

from torch import nn


class DrawsInitialValues(nn.Module):
    """A layer that knows what its parameters start from, where torch's own start is another."""

    @abstractmethod
    def draw_(self) -> None:
        """Draw the parameters anew."""


def draw_linear_(linear: nn.Linear) -> None:
    """Draw a linear layer as transformers do: a normal distribution, cut off; a bias of zeros."""
    nn.init.trunc_normal_(linear.weight, std=0.02)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
