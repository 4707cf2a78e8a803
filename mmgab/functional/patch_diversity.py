"""Losses that keep the tokens of an image apart (Gong et al., 2021, arXiv 2104.12753).

Pairs are summed in closed form: memory and time are linear in the number of tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def cosine_diversity(last: Tensor, is_real: Tensor | None = None) -> Tensor:
    r"""Mean cosine between two tokens of an image: 1 where they are all the same.

    .. math:: \frac{1}{N (N - 1)} \sum_{i \ne j} \cos(h_i, h_j)
              = \frac{\|\sum_i \hat h_i\|^2 - N}{N (N - 1)}

    With its sign, as in version 1 of the paper. Whether later versions take the cosine's absolute
    value could not be confirmed from what is public; with it, the sum has no closed form.

    Args:
        last: Tokens ``(B, N, C)``.
        is_real: ``(B, N)``, which of them are no padding; None for all.

    Returns:
        A scalar, the mean over images of two tokens and more.
    """
    units, weights = _weighted(F.normalize(last.float(), dim=2), is_real)
    count = weights.sum(dim=1)  # (B, 1)
    total = units.sum(dim=1).square().sum(dim=1, keepdim=True)
    return _mean_of_pairs((total - count) / (count * (count - 1)).clamp_min(1), count)


def contrastive_diversity(first: Tensor, last: Tensor, is_real: Tensor | None = None) -> Tensor:
    r"""How badly a token of the last layer tells which patch it comes from.

    .. math:: -\frac{1}{N} \sum_i \log \frac{e^{e_i \cdot h_i}}
              {e^{e_i \cdot h_i} + e^{e_i \cdot \bar h}}, \quad
              \bar h = \frac{1}{N} \sum_j h_j

    Inner products, not cosines, and the mean over all tokens, as in version 1 of the paper; the
    patches :math:`e` are not trained by it, as in its code. (That code leaves a token's own patch
    out of the mean and has a third term, of the neighbourhood.)

    Args:
        first: The patches as they enter the first layer, ``(B, N, C)``.
        last: Of the late layer, shaped alike.
        is_real: ``(B, N)``, which of them are no padding; None for all.

    Returns:
        A scalar, the mean over images of two tokens and more.
    """
    early, weights = _weighted(first.detach().float(), is_real)
    late, _ = _weighted(last.float(), is_real)
    count = weights.sum(dim=1)  # (B, 1)
    mean = late.sum(dim=1, keepdim=True) / count.clamp_min(1)[:, None]  # (B, 1, C)
    # A softplus: the negative logarithm of the share of two exponentials.
    losses = F.softplus((early * (mean - late)).sum(dim=2, keepdim=True))  # (B, N, 1)
    return _mean_of_pairs((losses * weights).sum(dim=1) / count.clamp_min(1), count)


def _weighted(tokens: Tensor, is_real: Tensor | None) -> tuple[Tensor, Tensor]:
    """Tokens with zeros for padding, and weights ``(B, N, 1)``."""
    if is_real is None:
        return tokens, torch.ones_like(tokens[..., :1])
    weights = is_real[..., None].to(tokens.dtype)
    return tokens * weights, weights


def _mean_of_pairs(losses: Tensor, count: Tensor) -> Tensor:
    """Mean over images that have pairs; losses and counts are ``(B, 1)``."""
    has_pairs = (count > 1).to(losses.dtype)
    return (losses * has_pairs).sum() / has_pairs.sum().clamp_min(1)
