"""What the blocks of all backbones here have in common: how they are called."""

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class CheckpointedBlock(nn.Module):
    """A block of tokens that may be computed again in backward; subclasses say what it does.

    Attributes:
        with_cp: Compute it again in backward instead of keeping what it makes.
    """

    with_cp: bool

    def forward(
        self, x: Tensor, hw_shape: tuple[int, int], is_real: Tensor | None = None
    ) -> Tensor:
        """Transform tokens.

        Args:
            x: ``(B, H * W, C)``.
            hw_shape: ``(H, W)``.
            is_real: ``(B, H * W)``, which of them are not padding of the batch; None where all are.

        Returns:
            ``(B, H * W, C)``.
        """
        if self.with_cp:
            return checkpoint(self._forward, x, hw_shape, is_real, use_reentrant=False)
        return self._forward(x, hw_shape, is_real)

    def _forward(self, x: Tensor, hw_shape: tuple[int, int], is_real: Tensor | None) -> Tensor:
        raise NotImplementedError
