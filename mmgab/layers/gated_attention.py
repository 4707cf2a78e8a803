"""Gated positional self-attention (d'Ascoli et al., ICML 2021, arXiv 2103.10697).

Written from the paper's equations because its public code has contradictory licences: Apache-2.0
in the LICENSE file, CC-BY-NC in the file headers.
"""

import inspect
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmgab.functional import mask_bias

from .validation import check_choice, check_keys, chosen_places


class LocalPosition(nn.Module):
    r"""Positional attention scores and one gate per head that mixes them with content attention.

    .. math:: A^h = (1 - g^h)\, \mathrm{softmax}(q k^T + B) + g^h\, \mathrm{softmax}(p^h), \quad
              p^h(\delta) = v^h \cdot (\delta_x, \delta_y, |\delta|^2), \quad
              g^h = \sigma(\lambda^h)

    for the offset :math:`\delta` of key from query, in tokens (arXiv 2103.10697, section 3, with
    the table, and the Gaussian if there is one, as :math:`B`). At the start :math:`v^h = \alpha (2
    \Delta^h_x, 2 \Delta^h_y, -1)`, so that the softmax is a Gaussian about :math:`\Delta^h` with
    variance :math:`1 / (2 \alpha)`. In windows, attention with gates is unfused because SDPA cannot
    mix weights. Global attention mixes the outputs of two fused ones.

    The centres form a square grid of ``floor(sqrt(heads))`` by as many, one token apart, as in the
    paper. Remaining heads, which the paper's head counts do not have, are centred on the token
    itself with a quarter of the strength, that is twice the width. That rule is mmgab's.

    Args:
        num_heads: Heads of the layer.
        strength: The :math:`\alpha` above, per squared token.
        gate: Initial :math:`\lambda` of all heads. The paper's 1 gives position a weight of 0.73,
            which suits training from scratch. For pretrained weights start below -2.
        values: ``'identity'`` initialises the value projection as the identity, as in the paper;
            ``'random'`` keeps its random initialisation. A checkpoint's weights replace either.

    Raises:
        TypeError: If ``strength`` or ``gate`` is not a number.
        ValueError: If ``strength`` or ``gate`` is not finite, ``strength`` is not positive, or
            ``values`` is unknown.
    """

    def __init__(
        self, num_heads: int, strength: float = 1.0, gate: float = 1.0, values: str = 'identity'
    ) -> None:
        super().__init__()
        for name, value in (('strength', strength), ('gate', gate)):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f'gpsa_cfg: {name} must be a number, got {value!r}')
            if not math.isfinite(value) or (name == 'strength' and value <= 0):
                allowed = 'finite and greater than 0' if name == 'strength' else 'finite'
                raise ValueError(f'gpsa_cfg: {name} must be {allowed}, got {value}')
        check_choice('gpsa_cfg: values', values, ('identity', 'random'))
        self.values = values
        side = math.isqrt(num_heads)
        middle = (side - 1) / 2
        centres = [(x - middle, y - middle) for x in range(side) for y in range(side)]
        rows = [strength * torch.tensor((2 * x, 2 * y, -1.0)) for x, y in centres]
        rows += [strength / 4 * torch.tensor((0, 0, -1.0))] * (num_heads - len(rows))
        self.position = nn.Parameter(torch.stack(rows))  # (heads, 3)
        self.gate = nn.Parameter(torch.full((num_heads,), float(gate)))

    def forward(self, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Score relative offsets, in single precision at least.

        Args:
            offsets: ``(T, 2)``, ``(dy, dx)`` in tokens, of key from query.

        Returns:
            Scores ``(T, heads)`` before softmax, and the gate of each head from 0 to 1,
            ``(heads, 1, 1)``.
        """
        squared = offsets.square().sum(dim=1, keepdim=True)
        inputs = torch.cat((offsets.flip(1), squared), dim=1)  # (T, 3)
        # Not a matrix product, for which autocast would round squared offsets to 8 bits.
        scores = (inputs[:, None] * self.position).sum(dim=2)
        return scores, self.gate.sigmoid()[:, None, None]


def mix_weights(content: Tensor, scores: Tensor, share: Tensor, mask: Tensor | None) -> Tensor:
    """Mix attention weights of content and of position (arXiv 2103.10697, section 3).

    Args:
        content: Weights ``(windows, heads, N, N)``.
        scores: Positional scores before softmax, ``(heads, N, N)``.
        share: Weight of the positional part, from 0 to 1, ``(heads, 1, 1)``.
        mask: ``(N, N)`` or ``(windows, 1, N, N)``, True where a query must not attend to a key;
            None for no mask.

    Returns:
        ``(windows, heads, N, N)``, rows sum to one.
    """
    return mix(content, mask_bias(scores, mask).softmax(dim=-1), share)


def mix(content: Tensor, position: Tensor, share: Tensor) -> Tensor:
    """Compute ``(1 - share) * content + share * position`` in the dtype of ``content``."""
    return (content * (1 - share) + position * share).to(content.dtype)


def gates_of_places(
    gpsa_cfg: Mapping | None, number: int, places: str = 'stages'
) -> list[Mapping | None]:
    """Select the gate settings of each stage or block; None for those without gates.

    Args:
        gpsa_cfg: Arguments of :class:`LocalPosition`, and a list of stages or blocks under the key
            ``places``, by default all; None for no gates.
        number: Number of stages or blocks.
        places: Key of that list, ``'stages'`` or ``'blocks'``.

    Raises:
        TypeError: If ``gpsa_cfg`` is not a mapping.
        ValueError: If a key, or a stage or block, is unknown.
    """
    if gpsa_cfg is None:
        return [None] * number
    if not isinstance(gpsa_cfg, Mapping):
        raise TypeError(f'gpsa_cfg must be a dict or None (no gates), got {gpsa_cfg!r}')
    arguments = dict(gpsa_cfg)
    chosen = chosen_places('gpsa_cfg', places, arguments.pop(places, None), number)
    known = [name for name in inspect.signature(LocalPosition).parameters if name != 'num_heads']
    check_keys('gpsa_cfg', gpsa_cfg, [*known, places])
    return [arguments if place in chosen else None for place in range(number)]
