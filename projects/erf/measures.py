"""Measures of a receptive field without the unit's own patch.

An untrained network passes most of the gradient along its residual connections to the unit's own
patch. Measures of the whole field are therefore dominated by that patch.
"""

import numpy as np
from scipy.optimize import curve_fit

from mmgab.analysis.erf import Erf, normalised, with_intervals

CELL = 8  # side in pixels of the cells that are averaged to smooth the weights of single pixels
SAMPLES = 100
# Ranges of the distance to the unit in pixels. "Near" excludes the own patch and its neighbours.
NEAR, FAR = (24, 56), (80, 112)


def beyond(erf: Erf) -> dict[str, dict[str, float]]:
    """Measure a field without the unit's own patch, with 95 % intervals over images.

    Returns:
        ``own_patch``, the share of the own patch; ``r_squared`` and ``sigma`` (in pixels) of a
        Gaussian around the unit plus a constant, fitted to the means of cells; ``near_by_far``, the
        mean contribution near the unit divided by that far from it, if the image is large enough.
    """
    is_own, distance = _cell_positions(erf)

    def describe(contributions: np.ndarray) -> dict[str, float]:
        mass = _cells(normalised(contributions))
        found = dict(own_patch=mass[is_own].sum() / mass.sum())
        found['r_squared'], found['sigma'] = fit_bump(distance[~is_own], mass[~is_own])
        if min(erf.size) >= 2 * FAR[1]:
            near, far = (mass[(a <= distance) & (distance < b)].mean() for a, b in (NEAR, FAR))
            found['near_by_far'] = near / far
        return {name: float(value) for name, value in found.items()}

    sums, draws = erf.sums[0], np.random.default_rng(0)
    drawn = [describe(sums.resampled(draws)) for _ in range(SAMPLES)]
    return with_intervals(describe(sums.mean), drawn)


def beyond_map(erf: Erf) -> np.ndarray:
    """Return means of cells, upsampled to ``(H, W)``, without the unit's own patch."""
    means = _cells(erf.sums[0].mean)
    means[_cell_positions(erf)[0]] = 0
    return np.kron(means, np.ones((CELL, CELL)))


def fit_bump(distance: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Fit a constant plus a Gaussian of the distance.

    Returns:
        R^2 and sigma, in the unit of the distance.
    """
    values = values / values.mean()

    def bump(at: np.ndarray, constant: float, height: float, sigma: float) -> np.ndarray:
        return constant + height * np.exp(-(at**2) / (2 * sigma**2))

    longest = float(distance.max())
    start = (float(np.median(values)), max(float(np.ptp(values)), 1e-6), longest / 4)
    bounds = ((0, 0, CELL), (np.inf, np.inf, 2 * longest))
    found, _ = curve_fit(bump, distance, values, start, bounds=bounds, max_nfev=2000)
    residual = values - bump(distance, *found)
    return 1 - float(residual.var() / values.var()), float(found[2])


def _cell_positions(erf: Erf) -> tuple[np.ndarray, np.ndarray]:
    """Return the mask of the own patch, and the distance of every cell to the unit in pixels."""
    row, col = erf.centre(0)
    rows, cols = (CELL * np.arange(side // CELL) + (CELL - 1) / 2 for side in erf.size)
    dy, dx = np.abs(rows - row)[:, None], np.abs(cols - col)[None, :]
    is_own = (dy < erf.stride[0] / 2) & (dx < erf.stride[1] / 2)
    return is_own, np.hypot(dy, dx)


def _cells(contributions: np.ndarray) -> np.ndarray:
    height, width = (side // CELL for side in contributions.shape)
    return contributions.reshape(height, CELL, width, CELL).mean(axis=(1, 3))
