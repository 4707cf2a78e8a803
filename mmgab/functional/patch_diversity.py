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

    With its sign. Whether the paper takes the cosine's absolute value could not be confirmed from
    what is public; with it, the sum has no closed form.

    Args:
        last: Tokens ``(B, N, C)``.
        is_real: ``(B, N)``, which of them are no padding; None for all.

    Returns:
        A scalar, the mean over images of two tokens and more.
    """
    units, weights = _units(last, is_real)
    count = weights.sum(dim=1)  # (B, 1)
    total = units.sum(dim=1).square().sum(dim=1, keepdim=True)
    return _mean_of_pairs((total - count) / (count * (count - 1)).clamp_min(1), count)


def contrastive_diversity(first: Tensor, last: Tensor, is_real: Tensor | None = None) -> Tensor:
    r"""How badly a token of a late layer tells which token of an early layer it comes from.

    .. math:: -\frac{1}{N} \sum_i \log \frac{e^{s_{ii}}}{e^{s_{ii}} + e^{m_i}}, \quad
              m_i = \frac{1}{N - 1} \sum_{j \ne i} s_{ij}, \quad s_{ij} = \cos(h^1_i, h^L_j)

    The early layer is not trained by it.

    Args:
        first: Tokens of the early layer, ``(B, N, C)``.
        last: Of the late layer, shaped alike.
        is_real: ``(B, N)``, which of them are no padding; None for all.

    Returns:
        A scalar, the mean over images of two tokens and more.
    """
    early, weights = _units(first.detach(), is_real)
    late, _ = _units(last, is_real)
    count = weights.sum(dim=1)  # (B, 1)
    own = (early * late).sum(dim=2, keepdim=True)  # (B, N, 1)
    others = early @ late.sum(dim=1)[:, :, None] - own
    others = others / (count - 1).clamp_min(1)[:, None]
    losses = (F.softplus(others - own) * weights).sum(dim=1) / count.clamp_min(1)
    return _mean_of_pairs(losses, count)


def _units(tokens: Tensor, is_real: Tensor | None) -> tuple[Tensor, Tensor]:
    """Tokens of length one, zeros for padding, and weights ``(B, N, 1)``; in single precision."""
    units = F.normalize(tokens.float(), dim=2)
    if is_real is None:
        return units, torch.ones_like(units[..., :1])
    weights = is_real[..., None].to(units.dtype)
    return units * weights, weights


def _mean_of_pairs(losses: Tensor, count: Tensor) -> Tensor:
    """Mean over images that have pairs; losses and counts are ``(B, 1)``."""
    has_pairs = (count > 1).to(losses.dtype)
    return (losses * has_pairs).sum() / has_pairs.sum().clamp_min(1)
