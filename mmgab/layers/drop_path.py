"""Residual connections with stochastic depth (arXiv 1603.09382)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Add a branch to what it branched off; in training, drop an image's branch now and then.

    Draws as mmcv's ``DropPath`` does.

    Args:
        drop_prob: Probability that an image's branch is dropped; the others are scaled up so that
            the expected sum stays what it is.
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """Add.

        Args:
            x: ``(B, ...)``.
            branch: Shaped like ``x``.

        Returns:
            Shaped like ``x``.
        """
        if not self.training or self.drop_prob == 0:
            return x + branch
        keep_prob = 1 - self.drop_prob
        shape = (len(branch),) + (1,) * (branch.ndim - 1)
        draw = keep_prob + torch.rand(shape, dtype=branch.dtype, device=branch.device)
        return x + branch * (draw.floor() / keep_prob)

    def extra_repr(self) -> str:
        """Probability, for ``print(model)``."""
        return f'drop_prob={self.drop_prob}'


def linear_rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Rate of every block, stage by stage: linear from 0 in the first block to the last one's."""
    steps = max(sum(depths) - 1, 1)
    blocks = iter(range(sum(depths)))
    return [[last * next(blocks) / steps for _ in range(depth)] for depth in depths]
