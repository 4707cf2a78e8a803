"""Residual connections with stochastic depth (arXiv 1603.09382)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Add a residual branch, dropped per image at random in training (stochastic depth).

    Random numbers are drawn as in mmcv's ``DropPath``.

    Args:
        drop_prob: Probability that an image's branch is dropped; the others are scaled by
            ``1 / (1 - drop_prob)``, which keeps the expected value.
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        """Add the branch to ``x``.

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
        """Return the drop probability for ``print(model)``."""
        return f'drop_prob={self.drop_prob}'


def linear_rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Return each block's drop rate by stage: linear from 0 in the first block to ``last``."""
    steps = max(sum(depths) - 1, 1)
    blocks = iter(range(sum(depths)))
    return [[last * next(blocks) / steps for _ in range(depth)] for depth in depths]
