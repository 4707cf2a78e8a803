"""The Gaussian of a relative-position table: its fit, and a table split into it and a remainder."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .relative_position import gaussian_table

_MIN_SIGMA = 0.3  # narrower, the Gaussian is 0 at all offsets but zero
# An amplitude of 0 has no gradient, nor has its sigma: what layers without a Gaussian start from.
_MIN_AMPLITUDE = 0.05
_PAPER_SIGMA = 5.0
_WEAK = 0.1  # part of the variance below which one would not call it a Gaussian
_GRID = 65  # widths looked at in one round of the search
_ROUNDS = 5  # each round narrows the search to two steps of the grid before


@dataclass(frozen=True)
class GaussianSplit:
    """A relative-position table as a remainder and a Gaussian, whose sum it is.

    Attributes:
        remainder: ``(T, heads)``, in logits.
        amplitude: ``(1,)`` or ``(heads,)``, the ``a`` of :func:`gaussian_table`; 0.05 at least.
        sigma: ``(1,)`` or ``(heads,)``, in tokens.
        r_squared: Of the fit, see :class:`GaussianFit`.
        is_found: ``(1,)`` or ``(heads,)``, whether the table has a Gaussian to speak of: one whose
            amplitude is not below 0.05, and that accounts for a tenth of its variance.
    """

    remainder: Tensor
    amplitude: Tensor
    sigma: Tensor
    r_squared: Tensor
    is_found: Tensor

    def __str__(self) -> str:
        """The Gaussian, or the range of the heads' Gaussians, in one line."""
        height, sigma, r_squared = map(
            _range, (self.amplitude.square(), self.sigma, self.r_squared)
        )
        line = f'A {height} logits, sigma {sigma} tokens, R^2 {r_squared}'
        weak = int((~self.is_found).sum())
        if weak:
            heads = '' if len(self.is_found) == 1 else f' in {weak} of {len(self.is_found)} heads'
            line += f'; no Gaussian to speak of{heads}'
        return line


@dataclass(frozen=True)
class GaussianFit:
    """Gaussians fitted to a relative-position table, one for all heads or one for each.

    Attributes:
        amplitude: ``(1,)`` or ``(heads,)``, the ``a`` of :func:`gaussian_table`, not negative; 0
            where the table does not fall off with distance.
        sigma: ``(1,)`` or ``(heads,)``, in tokens.
        r_squared: ``(1,)`` or ``(heads,)``, the part of the table's variance over offsets that the
            Gaussian accounts for, from 0 to 1.
    """

    amplitude: Tensor
    sigma: Tensor
    r_squared: Tensor


def fit_gaussian(table: Tensor, offsets: Tensor, per_head: bool = False) -> GaussianFit:
    """Least-squares fit of a Gaussian beside a constant of each head (which softmax ignores).

    Minimises the sum over offsets and heads of ``(table - constant - A g)^2``, where ``g`` is the
    Gaussian of height 1 and ``A >= 0``. For a given sigma the best ``A`` and constants have a
    closed form; sigma is searched on a logarithmic grid that is refined around the best one, from
    0.3 tokens to twice the window. (A wider Gaussian is a parabola there, whatever its width.)

    Args:
        table: ``(T, heads)``, in logits.
        offsets: ``(T, 2)``, ``(dy, dx)`` in tokens.
        per_head: Fit each head by itself instead of one Gaussian to all.

    Returns:
        The fit, in the table's type and on its device.
    """
    y = table.detach().double()
    y = y - y.mean(dim=0)  # (T, heads)
    group = 1 if per_head else y.shape[1]
    total = y.square().sum(dim=0).view(-1, group).sum(dim=1)  # (G,)
    squared_distance = offsets.double().square().sum(dim=1)  # (T,)
    longest = 2 * (float(offsets.abs().max()) + 1)
    low = torch.full_like(total, _MIN_SIGMA).log()
    high = torch.full_like(total, longest).log()
    for _ in range(_ROUNDS):
        steps = torch.linspace(0, 1, _GRID, dtype=y.dtype, device=y.device)[:, None]
        log_sigma = low + (high - low) * steps  # (K, G)
        height, explained = _best_heights(y, squared_distance, log_sigma.exp(), group)
        best = explained.argmax(dim=0, keepdim=True)  # (1, G)
        low = log_sigma.gather(0, (best - 1).clamp_min(0))[0]
        high = log_sigma.gather(0, (best + 1).clamp_max(_GRID - 1))[0]
    return GaussianFit(
        height.gather(0, best)[0].sqrt().to(table.dtype),
        log_sigma.gather(0, best)[0].exp().to(table.dtype),
        (explained.gather(0, best)[0] / total.clamp_min(1e-300)).to(table.dtype),
    )


def split_gaussian(table: Tensor, offsets: Tensor, per_head: bool = False) -> GaussianSplit:
    """Split a relative-position table into a Gaussian, fitted to it, and what remains.

    Where the table has no Gaussian (the fitted amplitude is below 0.05) one of amplitude 0.05 and
    the paper's sigma of 5 is taken off instead: with an amplitude of 0 neither would ever learn.

    Args:
        table: ``(T, heads)``, in logits.
        offsets: ``(T, 2)``, ``(dy, dx)`` in tokens.
        per_head: One Gaussian for each head instead of one for all.

    Returns:
        The parts, in single precision at least: remainder and :func:`gaussian_table` add up to the
        table, which they would not do in half.
    """
    table = table.to(torch.promote_types(table.dtype, torch.float32))
    fit = fit_gaussian(table, offsets, per_head)
    is_dead = fit.amplitude < _MIN_AMPLITUDE
    amplitude = fit.amplitude.masked_fill(is_dead, _MIN_AMPLITUDE)
    sigma = fit.sigma.masked_fill(is_dead, _PAPER_SIGMA)
    remainder = table - gaussian_table(offsets.to(table.dtype), amplitude, sigma)
    is_found = ~is_dead & (fit.r_squared >= _WEAK)
    return GaussianSplit(remainder, amplitude, sigma, fit.r_squared, is_found)


def _range(values: Tensor) -> str:
    low, high = float(values.min()), float(values.max())
    return f'{low:.3f}' if len(values) == 1 else f'{low:.3f} to {high:.3f}'


def _best_heights(
    y: Tensor, squared_distance: Tensor, sigma: Tensor, group: int
) -> tuple[Tensor, Tensor]:
    """Closed form for given widths ``(K, G)``: best heights, sums of squares they account for."""
    g = torch.exp(-squared_distance / (2 * sigma[..., None].square()))  # (K, G, T)
    g = g - g.mean(dim=-1, keepdim=True)
    mean_over_heads = y.t().view(-1, group, y.shape[0]).mean(dim=1)  # (G, T)
    norm = g.square().sum(dim=-1).clamp_min(1e-300)  # 0 in a window of one token
    height = ((g * mean_over_heads).sum(dim=-1) / norm).clamp_min(0)
    return height, group * height.square() * norm
