"""Losses that keep the tokens of an image apart (Gong et al., 2021, arXiv 2104.12753).

Pairs are summed in closed form: memory and time are linear in the number of tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_diversity(last: Tensor, is_valid: Tensor | None = None) -> Tensor:
    r"""Compute the mean cosine similarity of all token pairs of an image.

    .. math:: \frac{1}{N (N - 1)} \sum_{i \ne j} \cos(h_i, h_j)
              = \frac{\|\sum_i \hat h_i\|^2 - N}{N (N - 1)}

    It is 1 where all tokens are equal. The cosine is signed, as in version 1 of the paper (arXiv
    2104.12753). It is not known whether later versions take the absolute value, for which the sum
    has no closed form.

    Args:
        last: Tokens ``(B, N, C)``.
        is_valid: Boolean ``(B, N)``, True where a token belongs to the image, False for padding;
            None if all tokens are valid.

    Returns:
        A scalar, the mean over images with at least two valid tokens.
    """
    units, weights = _weighted(F.normalize(last.float(), dim=2), is_valid)
    count = weights.sum(dim=1)  # (B, 1)
    total = units.sum(dim=1).square().sum(dim=1, keepdim=True)
    return _mean_of_pairs((total - count) / (count * (count - 1)).clamp_min(1), count)


def contrastive_diversity(first: Tensor, last: Tensor, is_valid: Tensor | None = None) -> Tensor:
    r"""Compute the patch-wise contrastive loss between early and late tokens.

    .. math:: -\frac{1}{N} \sum_i \log \frac{e^{e_i \cdot h_i}}
              {e^{e_i \cdot h_i} + e^{e_i \cdot \bar h}}, \quad
              \bar h = \frac{1}{N} \sum_j h_j

    It is small where a late token identifies the patch that it comes from. As in version 1 of the
    paper (arXiv 2104.12753) it uses inner products and the mean over all tokens. As in its code
    the patches :math:`e` are detached. (That code excludes a token's own patch from the mean and
    has a third, neighbourhood term.)

    Args:
        first: Input tokens of the first layer, ``(B, N, C)``.
        last: Tokens of the late layer, ``(B, N, C)``.
        is_valid: Boolean ``(B, N)``, True where a token belongs to the image, False for padding;
            None if all tokens are valid.

    Returns:
        A scalar, the mean over images with at least two valid tokens.
    """
    early, weights = _weighted(first.detach().float(), is_valid)
    late, _ = _weighted(last.float(), is_valid)
    count = weights.sum(dim=1)  # (B, 1)
    mean = late.sum(dim=1, keepdim=True) / count.clamp_min(1)[:, None]  # (B, 1, C)
    # softplus(b - a) = -log(exp(a) / (exp(a) + exp(b)))
    losses = F.softplus((early * (mean - late)).sum(dim=2, keepdim=True))  # (B, N, 1)
    return _mean_of_pairs((losses * weights).sum(dim=1) / count.clamp_min(1), count)


def _weighted(tokens: Tensor, is_valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Zero the padding tokens; return them with their weights ``(B, N, 1)``."""
    if is_valid is None:
        return tokens, torch.ones_like(tokens[..., :1])
    weights = is_valid[..., None].to(tokens.dtype)
    return tokens * weights, weights


def _mean_of_pairs(losses: Tensor, count: Tensor) -> Tensor:
    """Average over images with at least two tokens; losses and counts are ``(B, 1)``."""
    has_pairs = (count > 1).to(losses.dtype)
    return (losses * has_pairs).sum() / has_pairs.sum().clamp_min(1)
