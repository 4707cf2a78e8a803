"""Patch diversity as a loss of two layers (Gong et al., 2021, arXiv 2104.12753)."""

import math

from torch import Tensor, nn

from mmgab.functional import contrastive_diversity, cosine_diversity
from mmgab.registry import MODELS


@MODELS.register_module()
class PatchDiversityLoss(nn.Module):
    """Keep the tokens of an image apart, see :mod:`mmgab.functional.patch_diversity`.

    Args:
        cosine: Weight of the mean cosine of the late layer's tokens; 0 leaves it out.
        contrastive: Weight of telling which patch a late token comes from; 0 leaves it out.

    Raises:
        ValueError: If a weight is negative or not finite, or both are zero.
    """

    def __init__(self, cosine: float = 0.5, contrastive: float = 0.5) -> None:
        super().__init__()
        for name, weight in (('cosine', cosine), ('contrastive', contrastive)):
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(f'PatchDiversityLoss: {name} must be at least 0, got {weight!r}')
        if not cosine and not contrastive:
            raise ValueError('PatchDiversityLoss: cosine and contrastive are both 0: there is none')
        self.cosine, self.contrastive = cosine, contrastive

    def forward(
        self, first: Tensor, last: Tensor, is_real: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Weighted losses.

        Args:
            first: The patches as they enter the first layer, ``(B, N, C)``.
            last: Tokens of the last layer, shaped alike.
            is_real: ``(B, N)``, which of them are no padding; None for all.

        Returns:
            ``loss_cosine`` and ``loss_contrastive``, as far as they have a weight.
        """
        losses = {}
        if self.cosine:
            losses['loss_cosine'] = self.cosine * cosine_diversity(last, is_real)
        if self.contrastive:
            contrast = contrastive_diversity(first, last, is_real)
            losses['loss_contrastive'] = self.contrastive * contrast
        return losses
