"""Metrics of a contribution map.

Contributions are the map's absolute values, as parts of their sum. Distances are in pixels from a
centre that need not be one: where a unit's place in the image is between pixels, it stays there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .gaussian_surface import GaussianSurface, fit_surface

SHARES = (0.2, 0.3, 0.5, 0.99)
RADII = (5, 10, 20, 30, 40, 60, 80)
# Names of the two fitted Gaussians, and whether their axes may turn.
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
        window: Height and width of an attention window, in pixels, if there are any.
        starts: Where to search for the two Gaussians from, see :data:`FITS`.

    Returns:
        By name: ``fit_*`` of the Gaussian along the axes of the image, as in the code of
        arXiv 2305.04722, and ``turned_*`` of the one whose axes may turn, see
        :class:`GaussianSurface`; ``square_*`` and ``disc_*``, see :func:`high_contribution`;
        ``log_square_*``, of :func:`logarithmic` contributions, as RepLKNet's code has them;
        ``mass_*``, contributions within so many pixels;
        ``r50``, ``r90`` and their ``_percent`` of the shorter side; ``entropy`` in nats and
        ``pixels``, its exponential, as many equal pixels have; ``anisotropy``; ``offset_y`` and
        ``offset_x`` of the centre of mass; ``window_energy``, see :func:`window_energy`, where the
        image is large enough.

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
    """``log10(map + 1)`` in parts of its sum, of which RepLKNet's code takes the area.

    It depends on the scale of the contributions, which are to be gradients as they are, the mean
    over images: a map that was normalised before has another area.
    """
    return normalised(np.log1p(np.abs(contributions)))


def normalised(contributions: np.ndarray) -> np.ndarray:
    """Absolute values, in parts of their sum.

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
        order: Their flat indices.
        distance: Of each, in that order.
    """

    order: np.ndarray
    distance: np.ndarray

    @classmethod
    @lru_cache(8)  # every resampled map asks for the same ones
    def about(cls, centre: Centre, shape: tuple[int, int], metric: Callable) -> 'Rings':
        """Sort the pixels of a map.

        Args:
            centre: Row and column.
            shape: Of the map.
            metric: From distances in rows and in columns to a distance.
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

    RepLKNet's measure (arXiv 2203.06717, Table 7) where the map is :func:`logarithmic`, here about
    the unit's own place.

    Returns:
        Its side or diameter in pixels, and its part of the image's area, cut at the edges.
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

    Sums over columns and over rows, by their moving average over one window; the part of their
    energy that lies at the period of windows and its harmonics. Of noise that is one by the number
    of windows.

    Args:
        mass: ``(H, W)``.
        window: Height and width of a window, in pixels.

    Returns:
        Between 0 and 1, the mean of both directions; NaN for an image of less than three windows.
    """
    parts = [_periodic(mass.sum(axis=1 - axis), window[axis]) for axis in (0, 1)]
    return float(np.mean(parts))


def _periodic(profile: np.ndarray, period: float) -> float:
    width = round(period)
    kernel = np.ones(width) if width % 2 else np.r_[0.5, np.ones(width - 1), 0.5]  # centred
    margin = len(kernel) // 2
    whole = (len(profile) - 2 * margin) // width * width  # so that harmonics are whole frequencies
    if width < 2 or whole < 2 * width:
        return float('nan')
    trend = np.convolve(profile, kernel / kernel.sum(), mode='valid')[:whole]
    ripple = profile[margin : margin + whole] / np.maximum(trend, 1e-12 * profile.max()) - 1
    energy = np.abs(np.fft.rfft(ripple - ripple.mean())) ** 2
    total = energy.sum()
    return float(energy[whole // width :: whole // width].sum() / total) if total > 0 else 0.0
