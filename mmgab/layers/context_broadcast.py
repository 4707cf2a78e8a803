"""Context Broadcasting: add the mean token to each token (Nam et al., ICCV 2023, 2210.08457).

The mean is over all tokens of an image, across its windows, which adds global context to local
attention. It is the last step of the feed-forward network, before the residual addition.
"""

import difflib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .validation import check_keys, chosen_places


class ContextBroadcast(nn.Module):
    """Average each token with the image's mean token: ``y = (x + m) / 2`` (CB of the paper).

    The factor changes the network's output, so weights trained without it do not fit. It is saved
    as a tensor (``share``), so that a checkpoint records that it needs this layer.

    Args:
        channels: Channels ``C`` of a token.
    """

    share: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer('share', torch.tensor(0.5))

    def forward(self, x: Tensor, is_valid: Tensor | None = None) -> Tensor:
        """Average tokens with the mean of the valid tokens.

        Args:
            x: Tokens ``(B, N, C)``.
            is_valid: Boolean ``(B, N)``, True where a token belongs to the image, False for the
                batch's padding, at least one True per image; None if all tokens are valid.

        Returns:
            ``(B, N, C)``.
        """
        return (x + mean_token(x, is_valid)) * self.share.to(x.dtype)


class ScaledContextBroadcast(ContextBroadcast):
    """Average tokens with a scaled mean: ``y = (x + s * m) / 2``, ``s`` learned per channel.

    The paper has a variant whose mean is scaled by dimension, CB_S. Its exact form and initial
    scale are not public; this form and its initial value of 1 are mmgab's.

    Args:
        channels: Channels ``C`` of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor, is_valid: Tensor | None = None) -> Tensor:
        """Average tokens with the scaled mean, see :meth:`ContextBroadcast.forward`."""
        mean = self.scale.to(x.dtype) * mean_token(x, is_valid)
        return (x + mean) * self.share.to(x.dtype)


class GatedContextBroadcast(nn.Module):
    """Add a gated mean token: ``y = x + g * m``, ``g`` learned per channel from 0.

    This variant is mmgab's, not the paper's. It is the identity at first, so it can be added to a
    pretrained network. The gate has a gradient from the first step on.

    Args:
        channels: Channels ``C`` of a token.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, is_valid: Tensor | None = None) -> Tensor:
        """Add the gated mean, see :meth:`ContextBroadcast.forward`."""
        return x + self.gate.to(x.dtype) * mean_token(x, is_valid)


_TYPES = {'CB': ContextBroadcast, 'CBS': ScaledContextBroadcast, 'CBG': GatedContextBroadcast}


def build_broadcasts(
    cb_cfg: Mapping | None, number: int, places: str = 'stages'
) -> list[type[nn.Module] | None]:
    """Select the Context Broadcasting class of each stage or block.

    Args:
        cb_cfg: ``type``, one of CB, CBS and CBG, and a list of stages or blocks under the key
            ``places``, by default all; None for no Context Broadcasting.
        number: Number of stages or blocks.
        places: Key of that list, ``'stages'`` or ``'blocks'``.

    Returns:
        For each stage or block a class to call with its channels, or None.

    Raises:
        TypeError: If ``cb_cfg`` is not a mapping.
        ValueError: If a key, the type, or a stage or block is unknown.
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


def mean_token(x: Tensor, is_valid: Tensor | None) -> Tensor:
    """Average each image's valid tokens to ``(B, 1, C)``, see :meth:`ContextBroadcast.forward`."""
    if is_valid is None:
        return x.mean(dim=1, keepdim=True)
    total = is_valid[:, None].to(x.dtype) @ x  # (B, 1, C)
    return total / is_valid.sum(dim=1)[:, None, None].to(x.dtype)
