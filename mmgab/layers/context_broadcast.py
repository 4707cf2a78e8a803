"""Context Broadcasting (Nam et al., ICCV 2023, arXiv 2210.08457): every token gets the mean token.

The mean is over the tokens of an image, for all of its windows: a global path through a network
that attends locally. It is the last step of a feed-forward network, before its residual is added.
"""

import difflib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .validation import check_keys, chosen_places


class ContextBroadcast(nn.Module):
    """``y = (x + m) / 2``, where ``m`` is the mean of the image's tokens.

    The half changes what a network computes: weights that were trained without it do not fit. It is
    saved as a tensor, so that a checkpoint says that it needs it.

    Args:
        channels: Channels ``C`` of a token.
    """

    share: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer('share', torch.tensor(0.5))

    def forward(self, x: Tensor, is_real: Tensor | None = None) -> Tensor:
        """Add the mean.

        Args:
            x: Tokens ``(B, N, C)``.
            is_real: ``(B, N)``, which of them are of the image and not of the batch's padding, at
                least one of each; None where all are.

        Returns:
            ``(B, N, C)``.
        """
        return (x + mean_token(x, is_real)) * self.share.to(x.dtype)


class ScaledContextBroadcast(ContextBroadcast):
    """``y = (x + s * m) / 2`` with a learnable ``s`` for each channel, 1 at the start.

    The paper has a variant whose mean is scaled by dimension, CB_S. Its exact form, and what its
    scale starts from, could not be confirmed from what is public: this is ours.

    Args:
        channels: Channels ``C`` of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor, is_real: Tensor | None = None) -> Tensor:
        """Add the scaled mean, see :meth:`ContextBroadcast.forward`."""
        mean = self.scale.to(x.dtype) * mean_token(x, is_real)
        return (x + mean) * self.share.to(x.dtype)


class GatedContextBroadcast(nn.Module):
    """``y = x + g * m`` with a learnable ``g`` for each channel, 0 at the start. Not of the paper.

    It changes nothing at first, so that it can be added to a pretrained network, and it learns from
    the first step on: the gradient of ``g`` is not zero there.

    Args:
        channels: Channels ``C`` of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, is_real: Tensor | None = None) -> Tensor:
        """Add the gated mean, see :meth:`ContextBroadcast.forward`."""
        return x + self.gate.to(x.dtype) * mean_token(x, is_real)


_TYPES = {'CB': ContextBroadcast, 'CBS': ScaledContextBroadcast, 'CBG': GatedContextBroadcast}


def build_broadcasts(
    cb_cfg: Mapping | None, number: int, places: str = 'stages'
) -> list[type[nn.Module] | None]:
    """What each stage's blocks, or each block, broadcast with.

    Args:
        cb_cfg: ``type``, one of CB, CBS and CBG, and under the name ``places`` those that have it,
            by default all; None for none.
        number: How many stages or blocks there are.
        places: ``'stages'`` or ``'blocks'``.

    Returns:
        For each place a class to call with its channels, or None.

    Raises:
        TypeError: If ``cb_cfg`` is not a mapping.
        ValueError: If a key, the type or a place is not known.
    """
    if cb_cfg is None:
        return [None] * number
    if not isinstance(cb_cfg, Mapping):
        raise TypeError(f'cb_cfg must be a dict or None (no broadcast), got {cb_cfg!r}')
    check_keys('cb_cfg', cb_cfg, ('type', places))
    kind = cb_cfg.get('type')
    if kind not in _TYPES:
        close = difflib.get_close_matches(str(kind).upper(), _TYPES, n=1)
        hint = f'; did you mean {close[0]!r}?' if close else ''
        raise ValueError(f'cb_cfg: type must be one of {list(_TYPES)}, got {kind!r}{hint}')
    chosen = chosen_places('cb_cfg', places, cb_cfg.get(places), number)
    return [_TYPES[kind] if place in chosen else None for place in range(number)]


def mean_token(x: Tensor, is_real: Tensor | None) -> Tensor:
    """Mean of each image's real tokens, ``(B, 1, C)``; arguments as above."""
    if is_real is None:
        return x.mean(dim=1, keepdim=True)
    total = is_real[:, None].to(x.dtype) @ x  # (B, 1, C)
    return total / is_real.sum(dim=1)[:, None, None].to(x.dtype)
