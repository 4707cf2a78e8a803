"""Least-squares fit of a two-dimensional Gaussian to a map."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares


@dataclass(frozen=True)
class GaussianSurface:
    """Two-dimensional Gaussian fitted to a map by least squares.

    Attributes:
        amplitude: Sum over an unbounded map; 1 for a normalised Gaussian map.
        row: Row of the centre, in pixels.
        col: Column of the centre, in pixels.
        sigma_x: Standard deviation along the axis nearest to x (the columns), in pixels.
        sigma_y: Standard deviation along the other axis, in pixels.
        angle: Rotation of the axes from x to y, in degrees from -45 to 45.
        r_squared: Coefficient of determination of the fit.
        is_found: True if the fit converged to a positive peak that is inside the map and no wider
            than it. If False, the other values are meaningless.
    """

    amplitude: float
    row: float
    col: float
    sigma_x: float
    sigma_y: float
    angle: float
    r_squared: float
    is_found: bool


def fit_surface(
    values: np.ndarray, is_turned: bool = True, start: GaussianSurface | None = None
) -> GaussianSurface:
    """Fit a Gaussian to a map.

    ``is_turned=False`` gives the model in the code of arXiv 2305.04722, with the image's axes.

    Args:
        values: ``(H, W)``, finite.
        is_turned: Also fit the rotation of the axes.
        start: Initial values. By default there are two starts: the map's moments and its peak.

    Raises:
        ValueError: If the map is constant.
    """
    scale = float(np.abs(values).max())
    if values.std() <= 1e-12 * scale:
        raise ValueError(f'a constant map ({values.flat[0]:.3g} everywhere) has no Gaussian')
    data = values / scale
    starts = [_of_moments(data), _of_peak(data)] if start is None else [_parameters(start, scale)]
    fits = [_search(data, parameters, is_turned) for parameters in starts]
    best, is_converged = min(fits, key=lambda fit: np.var(data - _surface(fit[0], data.shape)[0]))
    return _describe(best, is_converged, data, scale)


# Parameters are the peak, the centre's row and column, and a, b and c, the entries of a triangular
# factor of the inverse covariance. An angle would be undefined for an isotropic Gaussian.
def _surface(p: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Compute the surface ``(H, W)`` and the two whitened coordinates of its pixels."""
    peak, row, col, a, b, c = p
    dy, dx = np.arange(shape[0])[:, None] - row, np.arange(shape[1])[None, :] - col
    u, v = a * dx + b * dy, c * dy
    return peak * np.exp(-0.5 * (u**2 + v**2)), u, v


def _gradient(p: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Compute the Jacobian of the surface with respect to its parameters, ``(H * W, 6)``."""
    _, row, col, a, b, c = p
    dy, dx = np.arange(shape[0])[:, None] - row, np.arange(shape[1])[None, :] - col
    surface, u, v = _surface(p, shape)
    unit = _surface(np.array([1.0, *p[1:]]), shape)[0]
    parts = (
        unit,
        surface * (u * b + v * c),
        surface * u * a,
        -surface * u * dx,
        -surface * u * dy,
        -surface * v * dy,
    )
    return np.stack([np.broadcast_to(part, shape).ravel() for part in parts], axis=1)


def _search(data: np.ndarray, parameters: np.ndarray, is_turned: bool) -> tuple[np.ndarray, bool]:
    free = np.array([True, True, True, True, is_turned, True])

    def full(p: np.ndarray) -> np.ndarray:
        out = np.zeros(6)
        out[free] = p
        return out

    found = least_squares(
        lambda p: (_surface(full(p), data.shape)[0] - data).ravel(),
        parameters[free],
        lambda p: _gradient(full(p), data.shape)[:, free],
        method='lm',
        max_nfev=200,
    )
    return full(found.x), found.success


def _of_moments(data: np.ndarray) -> np.ndarray:
    """Return start parameters from the map's centre of mass and variances."""
    weights = np.clip(data, 0, None)
    weights = weights / weights.sum() if weights.any() else np.full(data.shape, 1 / data.size)
    rows, cols = np.indices(data.shape)
    row, col = (weights * rows).sum(), (weights * cols).sum()
    sigma_y = math.sqrt((weights * (rows - row) ** 2).sum() + 0.1)
    sigma_x = math.sqrt((weights * (cols - col) ** 2).sum() + 0.1)
    return np.array([data.max(), row, col, 1 / sigma_x, 0.0, 1 / sigma_y])


def _of_peak(data: np.ndarray) -> np.ndarray:
    """Return start parameters from the map's peak and its area above half maximum."""
    row, col = np.unravel_index(data.argmax(), data.shape)
    area = (data > data.max() / 2).sum()  # of a Gaussian, 2 pi ln 2 sigma^2
    sigma = math.sqrt(area / (2 * math.pi * math.log(2)))
    return np.array([data.max(), row, col, 1 / sigma, 0.0, 1 / sigma])


def _parameters(fit: GaussianSurface, scale: float) -> np.ndarray:
    angle = math.radians(fit.angle)
    axes = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    precision = axes.T @ np.diag([fit.sigma_x**-2, fit.sigma_y**-2]) @ axes  # of (x, y)
    a = math.sqrt(precision[0, 0])
    b = precision[0, 1] / a
    c = math.sqrt(max(precision[1, 1] - b**2, 1e-12))
    peak = fit.amplitude / (2 * math.pi * fit.sigma_x * fit.sigma_y) / scale
    return np.array([peak, fit.row, fit.col, a, b, c])


def _describe(p: np.ndarray, is_converged: bool, data: np.ndarray, scale: float) -> GaussianSurface:
    peak, row, col, a, b, c = p
    precision = np.array([[a * a, a * b], [a * b, b * b + c * c]])  # of (x, y)
    eigenvalues, vectors = np.linalg.eigh(precision)
    first = int(np.abs(vectors[0]).argmax())  # the axis nearest to x
    x, y = vectors[:, first] * np.sign(vectors[0, first])
    with np.errstate(divide='ignore'):
        sigma_x, sigma_y = 1 / np.sqrt(eigenvalues[[first, 1 - first]])
    left = np.var(data - _surface(p, data.shape)[0])
    height, width = data.shape
    is_inside = 0 <= row <= height - 1 and 0 <= col <= width - 1
    is_within = max(sigma_x, sigma_y) <= max(height, width)
    return GaussianSurface(
        amplitude=float(2 * math.pi * sigma_x * sigma_y * peak * scale),
        row=float(row),
        col=float(col),
        sigma_x=float(sigma_x),
        sigma_y=float(sigma_y),
        angle=math.degrees(math.atan2(y, x)),
        r_squared=float(1 - left / np.var(data)),
        is_found=bool(is_converged and is_inside and is_within and peak > 0),
    )
