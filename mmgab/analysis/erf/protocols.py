"""Protocols of receptive-field measurement: the scalar to differentiate and the reduction.

Maps of different protocols are different quantities and cannot be compared.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Protocol:
    """One definition of a contribution map.

    Attributes:
        name: Name of the protocol.
        scalar: Function from a unit's activations ``(B, C, positions)`` to the scalar to
            differentiate, ``(B,)``.
        reduce: Function from image gradients ``(B, channels, H, W)`` to contributions
            ``(B, H, W)``.
    """

    name: str
    scalar: Callable[[Tensor], Tensor]
    reduce: Callable[[Tensor], Tensor]


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        # arXiv 2305.04722 and its code: mean over feature channels. The gradient is averaged over
        # image channels, and negative values are set to 0 in each image.
        Protocol(
            'gab2023',
            lambda activations: activations.mean(dim=(1, 2)),
            lambda gradients: gradients.mean(dim=1).clamp(min=0),
        ),
        # RepLKNet, arXiv 2203.06717, and its code: negative activations and negative gradients of
        # each image channel are set to 0.
        Protocol(
            'replknet',
            lambda activations: activations.clamp(min=0).mean(dim=2).sum(dim=1),
            lambda gradients: gradients.clamp(min=0).sum(dim=1),
        ),
        # The signed gradient.
        Protocol(
            'raw',
            lambda activations: activations.mean(dim=2).sum(dim=1),
            lambda gradients: gradients.sum(dim=1),
        ),
    )
}
