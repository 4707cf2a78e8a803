"""Gated positional self-attention (d'Ascoli et al., ICML 2021, arXiv 2103.10697).

Written from the paper's equations. Its public code names two licences: the file LICENSE is
Apache-2.0, the headers of the files say CC-BY-NC.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from mmgab.functional import (
    Attend,
    mask_bias,
    pairs_of_table,
    relative_offsets,
)

from .arguments import check_choice, check_keys, chosen_places
from .biased_attention import BiasedMSA
from .geometry import window_geometry
from .grid_attention import GridMSA
from .window_attention import WindowMSA


class LocalPosition(nn.Module):
    r"""Scores of position alone, and how much they count: one set for each head.

    .. math:: p^h(\delta) = v^h \cdot (\delta_x, \delta_y, |\delta|^2), \quad
              g^h = \sigma(\lambda^h)

    for the offset :math:`\delta` of key from query, in tokens (arXiv 2103.10697, section 3). At
    the start :math:`v^h = \alpha (2 \Delta^h_x, 2 \Delta^h_y, -1)`, so that after softmax the head
    looks at a Gaussian about :math:`\Delta^h` with variance :math:`1 / (2 \alpha)`.

    The centres are those of a square of ``floor(sqrt(heads))`` by as many, one token apart, as in
    the paper. Heads that are left over, which the paper's head counts do not have, look about the
    token itself with a quarter of the strength, that is twice as far: that rule is ours.

    Args:
        num_heads: Heads of the layer.
        strength: The :math:`\alpha` above, per squared token.
        gate: The :math:`\lambda` that all heads start from.

    Raises:
        TypeError: If ``strength`` or ``gate`` is not a number.
        ValueError: If one is not finite, or ``strength`` is not positive.
    """

    def __init__(self, num_heads: int, strength: float, gate: float) -> None:
        super().__init__()
        for name, value in (('strength', strength), ('gate', gate)):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f'gpsa_cfg: {name} must be a number, got {value!r}')
            if not math.isfinite(value) or (name == 'strength' and value <= 0):
                raise ValueError(f'gpsa_cfg: {name} must be finite, strength above 0, got {value}')
        side = math.isqrt(num_heads)
        middle = (side - 1) / 2
        centres = [(x - middle, y - middle) for x in range(side) for y in range(side)]
        rows = [strength * torch.tensor((2 * x, 2 * y, -1.0)) for x, y in centres]
        rows += [strength / 4 * torch.tensor((0, 0, -1.0))] * (num_heads - len(rows))
        self.position = nn.Parameter(torch.stack(rows))  # (heads, 3)
        self.gate = nn.Parameter(torch.full((num_heads,), float(gate)))

    def forward(self, offsets: Tensor) -> tuple[Tensor, Tensor]:
        """Score offsets, in single precision at least.

        Args:
            offsets: ``(T, 2)``, ``(dy, dx)`` in tokens, of key from query.

        Returns:
            Scores ``(T, heads)`` before softmax, and how much they count in each head, from 0 to 1:
            ``(heads, 1, 1)``.
        """
        squared = offsets.square().sum(dim=1, keepdim=True)
        inputs = torch.cat((offsets.flip(1), squared), dim=1)  # (T, 3)
        # No matrix product: autocast would round squared offsets to 8 bits.
        scores = (inputs[:, None] * self.position).sum(dim=2)
        return scores, self.gate.sigmoid()[:, None, None]


class Gates(BiasedMSA):
    r"""Heads that choose between content and position; comes before an attention it is mixed into.

    .. math:: A^h = (1 - g^h)\, \mathrm{softmax}(q k^T + B) + g^h\, \mathrm{softmax}(p^h)

    (arXiv 2103.10697, section 3, with the table, and the Gaussian if there is one, as :math:`B`).
    It goes by steps: weights are mixed, which torch's fused kernel does not do.

    Args:
        args: As of the attention.
        strength: See :class:`LocalPosition`.
        gate: See :class:`LocalPosition`: 1, the paper's, makes position count 0.73, which suits
            training from scratch; for pretrained weights, which know nothing of it, start below -2.
        values: ``'identity'`` passes tokens on as they are at the start, as in the paper;
            ``'random'`` leaves the values as they are drawn. What a checkpoint has replaces either.
        kwargs: As of the attention.

    Raises:
        ValueError: If ``values`` is neither; see :class:`LocalPosition` for the others.
    """

    def __init__(
        self, *args, strength: float = 1.0, gate: float = 1.0, values: str = 'identity', **kwargs
    ) -> None:
        super().__init__(*args, **kwargs)
        check_choice('gpsa_cfg: values', values, ('identity', 'random'))
        self.values = values
        self.local = LocalPosition(self.num_heads, strength, gate)

    def mix(self, content: Tensor, scores: Tensor, share: Tensor, mask: Tensor | None) -> Tensor:
        """Attention weights of content and of position, mixed.

        Args:
            content: Weights ``(windows, heads, N, N)``.
            scores: Of position, ``(heads, N, N)``, before softmax.
            share: How much position counts, ``(heads, 1, 1)``.
            mask: ``(N, N)`` or ``(windows, 1, N, N)``, True where query and key must not see each
                other; None if all may.

        Returns:
            ``(windows, heads, N, N)``, rows sum to one.
        """
        position = mask_bias(scores, mask).softmax(dim=-1)
        return (content * (1 - share) + position * share).to(content.dtype)

    def init_values_(self) -> None:
        """Make values those of the tokens, where that is asked for, in place of what was drawn."""
        if self.values == 'identity':
            nn.init.eye_(self.qkv.weight.detach().chunk(3)[2])


class GatedWindowMSA(Gates, WindowMSA):
    """Window attention with gates; the mask of a shifted layer enters both softmaxes."""

    def weights(self, q: Tensor, k: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        """Attention weights, see :meth:`BiasedMSA.weights`."""
        content = super().weights(q, k, bias, mask)
        offsets, index = window_geometry(self.window_size, bias.device)
        # The index is of query from key; of key from query is what is wanted.
        scores, share = self.local(-offsets)
        return self.mix(content, scores[index].permute(2, 0, 1), share, mask)


class GatedGridMSA(Gates, GridMSA):
    """Attention on a whole grid, or in windows of it, with gates: ConViT's layer."""

    def steps(self, window_size: tuple[int, int], device: torch.device) -> Attend:
        """What attends inside a window, see :meth:`BiasedMSA.steps`."""
        # The table is of query from key; of key from query is what is wanted.
        scores, share = self.local(-relative_offsets(window_size, device))
        scores = pairs_of_table(scores, window_size)  # (heads, N, N)

        def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
            content = self.weights(q, k, bias, mask)
            return self.attn_drop(self.mix(content, scores, share, mask)) @ v

        return attend


def build_attentions(
    gpsa_cfg: Mapping | None,
    number: int,
    plain: type[BiasedMSA] = WindowMSA,
    gated: type[Gates] = GatedWindowMSA,
    places: str = 'stages',
) -> list[Callable[..., BiasedMSA]]:
    """What makes the attention of each stage, or of each block.

    Args:
        gpsa_cfg: Keyword arguments of :class:`Gates`, and under the name ``places`` those that have
            it, by default all; None for plain attention.
        number: How many stages or blocks there are.
        plain: Attention without gates.
        gated: Attention with them.
        places: ``'stages'`` or ``'blocks'``.

    Raises:
        TypeError: If ``gpsa_cfg`` is not a mapping.
        ValueError: If a key or a place is not known.
    """
    if gpsa_cfg is None:
        return [plain] * number
    if not isinstance(gpsa_cfg, Mapping):
        raise TypeError(f'gpsa_cfg must be a dict or None (no gates), got {gpsa_cfg!r}')
    arguments = dict(gpsa_cfg)
    chosen = chosen_places('gpsa_cfg', places, arguments.pop(places, None), number)
    signature = inspect.signature(Gates.__init__).parameters.values()
    known = [one.name for one in signature if one.kind is one.KEYWORD_ONLY]
    check_keys('gpsa_cfg', gpsa_cfg, [*known, places])
    make = partial(gated, **arguments)
    return [make if place in chosen else plain for place in range(number)]
