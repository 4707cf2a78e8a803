"""Least-squares fit of a Gaussian to a relative-position table, and the table's remainder."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .relative_position import gaussian_table

_MIN_SIGMA = 0.3  # a narrower Gaussian is 0 at every offset except zero
# Start value where no Gaussian is found: at 0 neither amplitude nor sigma has a gradient.
_MIN_AMPLITUDE = 0.05
_PAPER_SIGMA = 5.0
_WEAK = 0.1  # R^2 below which a fit does not count as a Gaussian
_GRID = 65  # sigmas evaluated in one round of the search
_ROUNDS = 5  # each round narrows the search to two steps of the previous grid


@dataclass(frozen=True)
class GaussianSplit:
    """A relative-position table split into a Gaussian and a remainder that add up to it.

    Attributes:
        remainder: ``(T, heads)``, in logits.
        amplitude: ``(1,)`` or ``(heads,)``, the ``a`` of :func:`gaussian_table`; at least 0.05.
        sigma: ``(1,)`` or ``(heads,)``, in tokens.
        r_squared: R^2 of the fit, see :class:`GaussianFit`.
        is_found: ``(1,)`` or ``(heads,)``, True where the fitted amplitude is at least 0.05 and
            R^2 is at least 0.1.
    """

    remainder: Tensor
    amplitude: Tensor
    sigma: Tensor
    r_squared: Tensor
    is_found: Tensor

    def __str__(self) -> str:
        """Format the Gaussian, or the range over heads, in one line."""
        height, sigma, r_squared = map(
            _range, (self.amplitude.square(), self.sigma, self.r_squared)
        )
        line = f'A {height} logits, sigma {sigma} tokens, R^2 {r_squared}'
        weak = int((~self.is_found).sum())
        if weak:
            heads = '' if len(self.is_found) == 1 else f' in {weak} of {len(self.is_found)} heads'
            line += f'; no clear Gaussian{heads}'
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
    """Fit a Gaussian and a constant per head (which softmax ignores) by least squares.

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
    """Split a relative-position table into a fitted Gaussian and a remainder.

    Where the fitted amplitude is below 0.05, a Gaussian of amplitude 0.05 and the paper's sigma of
    5 is subtracted instead: with an amplitude of 0 neither parameter would have a gradient.

    Args:
        table: ``(T, heads)``, in logits.
        offsets: ``(T, 2)``, ``(dy, dx)`` in tokens.
        per_head: One Gaussian for each head instead of one for all.

    Returns:
        Gaussian and remainder in at least single precision, so that the remainder and
        :func:`gaussian_table` add up to the table.
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
    """Compute best heights for sigmas ``(K, G)`` and the sums of squares that they explain."""
    g = torch.exp(-squared_distance / (2 * sigma[..., None].square()))  # (K, G, T)
    g = g - g.mean(dim=-1, keepdim=True)
    mean_over_heads = y.t().view(-1, group, y.shape[0]).mean(dim=1)  # (G, T)
    norm = g.square().sum(dim=-1).clamp_min(1e-300)  # 0 in a window of one token
    height = ((g * mean_over_heads).sum(dim=-1) / norm).clamp_min(0)
    return height, group * height.square() * norm
