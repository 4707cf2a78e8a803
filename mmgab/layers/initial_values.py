"""Weight initialisation of layers, called by the network when it is complete."""

from abc import abstractmethod

from torch import nn


class DrawsInitialValues(nn.Module):
    """Base of layers whose initial values differ from PyTorch's defaults."""

    @abstractmethod
    def draw_(self) -> None:
        """Initialise the parameters in place."""


def draw_linear_(linear: nn.Linear) -> None:
    """Initialise a linear layer: weights from a truncated normal (std 0.02), bias zero."""
    nn.init.trunc_normal_(linear.weight, std=0.02)
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
