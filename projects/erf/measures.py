"""What a study asks of a field beyond the unit's own patch.

A network that was not trained passes most of the gradient along its residual connections, straight
down to the patch above which the unit stands: numbers of the whole field are numbers of that patch.
"""

import numpy as np
from scipy.optimize import curve_fit

from mmgab.analysis.erf import Erf, normalised, with_intervals

CELL = 8  # pixels: means of so many by so many, which average out the weights of single pixels
SAMPLES = 100
# Pixels from the unit: near, but neither its own patch nor the next, and far.
NEAR, FAR = (24, 56), (80, 112)


def beyond(erf: Erf) -> dict[str, dict[str, float]]:
    """Numbers of a field without the unit's own patch, with 95 % intervals over images.

    Returns:
        ``own_patch``, its part of the whole; ``r_squared`` and ``sigma``, in pixels, of the nearest
        Gaussian about the unit on a constant, fitted to the means of cells; ``near_by_far``, the
        mean contribution near the unit by that far from it, where the image is large enough.
    """
    is_own, distance = _places(erf)

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
    """Means of cells ``(H, W)``, each as large as in the image, without the unit's own patch."""
    means = _cells(erf.sums[0].mean)
    means[_places(erf)[0]] = 0
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


def _places(erf: Erf) -> tuple[np.ndarray, np.ndarray]:
    """Which cells are of the unit's own patch, and how far from it each one is, in pixels."""
    row, col = erf.centre(0)
    rows, cols = (CELL * np.arange(side // CELL) + (CELL - 1) / 2 for side in erf.size)
    dy, dx = np.abs(rows - row)[:, None], np.abs(cols - col)[None, :]
    is_own = (dy < erf.stride[0] / 2) & (dx < erf.stride[1] / 2)
    return is_own, np.hypot(dy, dx)


def _cells(contributions: np.ndarray) -> np.ndarray:
    height, width = (side // CELL for side in contributions.shape)
    return contributions.reshape(height, CELL, width, CELL).mean(axis=(1, 3))
