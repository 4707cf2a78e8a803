"""Metrics of a contribution map.

Contributions are absolute values, divided by their sum. Distances are in pixels from the unit's
centre, which may lie between pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .gaussian_surface import GaussianSurface, fit_surface

SHARES = (0.2, 0.3, 0.5, 0.99)
RADII = (5, 10, 20, 30, 40, 60, 80)
# Prefixes of the two fitted Gaussians, and whether the rotation of their axes is fitted.
FITS = {'fit': False, 'turned': True}
Centre = tuple[float, float]


def describe_map(
    contributions: np.ndarray,
    centre: Centre,
    window: tuple[float, float] | None = None,
    starts: Sequence[GaussianSurface | None] = (None, None),
) -> dict[str, float]:
    """Compute all metrics of a map.

    Args:
        contributions: ``(H, W)``.
        centre: The unit's row and column, in pixels.
        window: Height and width of an attention window in pixels; None if there are no windows.
        starts: Initial values of the two Gaussian fits, see :data:`FITS`.

    Returns:
        Metrics by name. ``fit_*`` is the Gaussian along the axes of the image, as in the code of
        arXiv 2305.04722; ``turned_*`` has rotated axes (:class:`GaussianSurface`). ``square_*`` and
        ``disc_*`` are from :func:`high_contribution`. ``log_square_*`` is the same for
        :func:`logarithmic` contributions, as in RepLKNet's code. ``mass_*`` is the sum within that
        many pixels. ``r50`` and ``r90`` are radii, with their ``_percent`` of the shorter side.
        ``entropy`` is in nats; ``pixels`` is its exponential. ``anisotropy``, ``offset_y`` and
        ``offset_x`` are from :func:`moments`. ``window_energy`` is from :func:`window_energy`, for
        images of at least three windows.

    Raises:
        ValueError: If the map is not finite, or zero everywhere.
    """
    mass = normalised(contributions)
    numbers: dict[str, float] = {}
    for (prefix, is_turned), start in zip(FITS.items(), starts, strict=True):
        fit = fit_surface(mass, is_turned, start)
        numbers |= {f'{prefix}_{name}': float(value) for name, value in vars(fit).items()}
    square, disc = (Rings.about(centre, mass.shape, metric) for metric in (_chessboard, np.hypot))
    areas = (('square', square, mass), ('disc', disc, mass))
    for name, rings, shares in (*areas, ('log_square', square, logarithmic(contributions))):
        for share in SHARES:
            side, area = high_contribution(shares, rings, share)
            numbers |= {f'{name}_{share}_side': side, f'{name}_{share}_area': area}
    numbers |= {f'mass_{radius}': disc.mass_within(mass, radius) for radius in RADII}
    for share in (50, 90):
        radius = disc.radius_of(mass, share / 100)
        numbers |= {f'r{share}': radius, f'r{share}_percent': 100 * radius / min(mass.shape)}
    entropy = -float(np.sum(mass * np.log(mass, where=mass > 0, out=np.zeros_like(mass))))
    numbers |= {'entropy': entropy, 'pixels': float(np.exp(entropy))}
    numbers |= moments(mass, centre)
    if window is not None and not np.isnan(energy := window_energy(mass, window)):
        numbers['window_energy'] = energy
    return numbers


def logarithmic(contributions: np.ndarray) -> np.ndarray:
    """Compute normalised ``log10(map + 1)``, whose area RepLKNet's code reports.

    The result depends on the scale of the contributions, which must be unnormalised gradients,
    averaged over images.
    """
    return normalised(np.log1p(np.abs(contributions)))


def normalised(contributions: np.ndarray) -> np.ndarray:
    """Return absolute values, divided by their sum.

    Raises:
        ValueError: If the map is not finite, or zero everywhere.
    """
    magnitude = np.abs(np.asarray(contributions, dtype=np.float64))
    total = magnitude.sum()
    if not np.isfinite(total) or total == 0:
        raise ValueError(f'a contribution map must be finite and not all 0, got a sum of {total}')
    return magnitude / total


@dataclass(frozen=True)
class Rings:
    """Pixels sorted by their distance from a centre.

    Attributes:
        order: Flat indices of the pixels, nearest first.
        distance: Distance of each pixel, in that order.
    """

    order: np.ndarray
    distance: np.ndarray

    @classmethod
    @lru_cache(8)  # shared by all resampled maps
    def about(cls, centre: Centre, shape: tuple[int, int], metric: Callable) -> 'Rings':
        """Sort the pixels of a map.

        Args:
            centre: Row and column.
            shape: Height and width of the map.
            metric: Function from row and column distances to a distance.
        """
        rows, cols = np.ogrid[: shape[0], : shape[1]]
        distance = metric(np.abs(rows - centre[0]), np.abs(cols - centre[1])).ravel()
        order = np.argsort(distance, kind='stable')
        return cls(order, distance[order])

    def mass_within(self, mass: np.ndarray, radius: float) -> float:
        """Sum the contributions within a radius."""
        count = np.searchsorted(self.distance, radius, side='right')
        return float(mass.ravel()[self.order[:count]].sum())

    def radius_of(self, mass: np.ndarray, share: float) -> float:
        """Return the smallest radius that holds a share of the contributions."""
        reached = np.cumsum(mass.ravel()[self.order]) >= share - 1e-12
        return float(self.distance[reached.argmax()])


def _chessboard(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    return np.maximum(rows, cols)


def high_contribution(mass: np.ndarray, rings: Rings, share: float) -> tuple[float, float]:
    """Find the smallest square or disc about the centre with a share of the contributions.

    For a :func:`logarithmic` map this is RepLKNet's measure (arXiv 2203.06717, Table 7), centred on
    the unit.

    Returns:
        Side or diameter in pixels, and share of the image's area, cropped at the edges.
    """
    radius = rings.radius_of(mass, share)
    return 2 * radius + 1, float((rings.distance <= radius).mean())


def moments(mass: np.ndarray, centre: Centre) -> dict[str, float]:
    """Compute the centre of mass' offset and the anisotropy: 0 for a round map, 1 for a line."""
    rows, cols = np.indices(mass.shape)
    mean = np.array([(mass * rows).sum(), (mass * cols).sum()])
    dy, dx = rows - mean[0], cols - mean[1]
    covariance = [[(mass * p * q).sum() for q in (dy, dx)] for p in (dy, dx)]
    least, most = np.clip(np.linalg.eigvalsh(covariance), 0, None)
    return {
        'offset_y': float(mean[0] - centre[0]),
        'offset_x': float(mean[1] - centre[1]),
        'anisotropy': float(1 - np.sqrt(least / most)) if most > 0 else 0.0,
    }


def window_energy(mass: np.ndarray, window: tuple[float, float]) -> float:
    """Measure how much of a map's fine structure repeats with the attention windows.

    Sums over columns and over rows are divided by their moving average over one window. The result
    is the share of their spectral energy at the window period and its harmonics. For noise it is
    one divided by the number of windows.

    Args:
        mass: ``(H, W)``.
        window: Height and width of a window, in pixels.

    Returns:
        Mean of both directions, from 0 to 1; NaN for an image of less than three windows.
    """
    parts = [_periodic(mass.sum(axis=1 - axis), window[axis]) for axis in (0, 1)]
    return float(np.mean(parts))


def _periodic(profile: np.ndarray, period: float) -> float:
    width = round(period)
    kernel = np.ones(width) if width % 2 else np.r_[0.5, np.ones(width - 1), 0.5]  # centred
    margin = len(kernel) // 2
    whole = (len(profile) - 2 * margin) // width * width  # so that harmonics are integer bins
    if width < 2 or whole < 2 * width:
        return float('nan')
    trend = np.convolve(profile, kernel / kernel.sum(), mode='valid')[:whole]
    ripple = profile[margin : margin + whole] / np.maximum(trend, 1e-12 * profile.max()) - 1
    energy = np.abs(np.fft.rfft(ripple - ripple.mean())) ** 2
    total = energy.sum()
    return float(energy[whole // width :: whole // width].sum() / total) if total > 0 else 0.0
