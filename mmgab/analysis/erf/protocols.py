"""Protocols of receptive-field measurement: the scalar to differentiate and the reduction.

Maps of different protocols are different quantities; they are not to be compared.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Protocol:
    """One definition of a contribution map.

    Attributes:
        name: Of the paper, or of what it is.
        scalar: Activations of a unit ``(B, C, positions)`` to what is differentiated, ``(B,)``.
        reduce: Gradients of the images ``(B, channels, H, W)`` to contributions ``(B, H, W)``.
    """

    name: str
    scalar: Callable[[Tensor], Tensor]
    reduce: Callable[[Tensor], Tensor]


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        # arXiv 2305.04722 and its code: the mean over channels; the gradient's mean over channels
        # of the image, of which what is negative is dropped, image by image.
        Protocol(
            'gab2023',
            lambda activations: activations.mean(dim=(1, 2)),
            lambda gradients: gradients.mean(dim=1).clamp(min=0),
        ),
        # RepLKNet, arXiv 2203.06717, and its code: channels below zero do not count, nor do
        # negative gradients of a colour.
        Protocol(
            'replknet',
            lambda activations: activations.clamp(min=0).mean(dim=2).sum(dim=1),
            lambda gradients: gradients.clamp(min=0).sum(dim=1),
        ),
        # The gradient as it is, with its sign.
        Protocol(
            'raw',
            lambda activations: activations.mean(dim=2).sum(dim=1),
            lambda gradients: gradients.sum(dim=1),
        ),
    )
}
