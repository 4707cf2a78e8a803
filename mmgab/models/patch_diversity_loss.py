"""Patch-diversity loss module (Gong et al., 2021, arXiv 2104.12753)."""

import math

from torch import Tensor, nn

from mmgab.functional import contrastive_diversity, cosine_diversity
from mmgab.registry import MODELS


@MODELS.register_module()
class PatchDiversityLoss(nn.Module):
    """Penalise similar tokens of an image, see :mod:`mmgab.functional.patch_diversity`.

    Args:
        cosine: Weight of :func:`~mmgab.functional.cosine_diversity`; 0 disables it.
        contrastive: Weight of :func:`~mmgab.functional.contrastive_diversity`; 0 disables it.

    Raises:
        ValueError: If a weight is negative or not finite, or both are zero.
    """

    def __init__(self, cosine: float = 0.5, contrastive: float = 0.5) -> None:
        super().__init__()
        for name, weight in (('cosine', cosine), ('contrastive', contrastive)):
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(
                    f'PatchDiversityLoss: {name} must be finite and at least 0, got {weight!r}'
                )
        if not cosine and not contrastive:
            raise ValueError(
                'PatchDiversityLoss: cosine and contrastive are both 0; '
                'at least one must be positive'
            )
        self.cosine, self.contrastive = cosine, contrastive

    def forward(
        self, first: Tensor, last: Tensor, is_valid: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the weighted losses.

        Args:
            first: Input tokens of the first layer, ``(B, N, C)``.
            last: Tokens of the late layer, ``(B, N, C)``.
            is_valid: Boolean ``(B, N)``, True where a token belongs to the image, False for
                padding; None if all tokens are valid.

        Returns:
            Scalars ``loss_cosine`` and ``loss_contrastive``, those with a nonzero weight.
        """
        losses = {}
        if self.cosine:
            losses['loss_cosine'] = self.cosine * cosine_diversity(last, is_valid)
        if self.contrastive:
            contrast = contrastive_diversity(first, last, is_valid)
            losses['loss_contrastive'] = self.contrastive * contrast
        return losses
