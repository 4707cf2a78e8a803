"""Bootstrap intervals (95 %) over images for the metrics of a map."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from tqdm import tqdm

from .gaussian_surface import GaussianSurface
from .measurement import ContributionSums
from .metrics import FITS, Centre, describe_map


def describe_sums(
    sums: ContributionSums,
    centre: Centre,
    window: tuple[float, float] | None = None,
    samples: int = 100,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Compute every metric of the mean map, with its interval over images.

    Args:
        sums: Contributions summed over images.
        centre: The unit's row and column, in pixels.
        window: Height and width of an attention window in pixels; None if there are no windows.
        samples: Number of bootstrap samples. With 0, or a single image, there are no intervals.
        seed: Random seed of the bootstrap.

    Returns:
        See :func:`with_intervals`; names are those of :func:`describe_map`.
    """
    describe = partial(describe_map, centre=centre, window=window)
    whole = describe(sums.mean)
    # Resampled maps are similar, so their fits start from those of the mean map.
    starts = [_found(whole, prefix) for prefix in FITS]
    draws = np.random.default_rng(seed)
    drawn = [
        _aligned(describe(sums.resampled(draws), starts=starts), whole)
        for _ in tqdm(range(samples if sums.count > 1 else 0), 'intervals', leave=False)
    ]
    return with_intervals(whole, drawn)


def _found(numbers: Mapping[str, float], prefix: str) -> GaussianSurface | None:
    own = {
        name.removeprefix(f'{prefix}_'): number
        for name, number in numbers.items()
        if name.startswith(f'{prefix}_')
    }
    is_found = bool(own.pop('is_found'))
    return GaussianSurface(**own, is_found=is_found) if is_found else None


def _aligned(sample: dict[str, float], whole: dict[str, float]) -> dict[str, float]:
    """Return a sample whose rotated Gaussian has its axes matched to those of the mean map.

    Near 45 degrees the narrow axis is x in one sample and y in the next, and the angle jumps.
    """
    quarters = round((sample['turned_angle'] - whole['turned_angle']) / 90)
    axes = (sample['turned_sigma_x'], sample['turned_sigma_y'])
    x, y = axes if quarters % 2 == 0 else axes[::-1]
    angle = sample['turned_angle'] - 90 * quarters
    return dict(sample, turned_sigma_x=x, turned_sigma_y=y, turned_angle=angle)


def with_intervals(
    numbers: Mapping[str, float], samples: Sequence[Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Combine a map's metrics with their 95 % intervals over bootstrap samples.

    Args:
        numbers: Metrics of the mean map over all images.
        samples: Metrics of resampled maps; empty for no intervals.

    Returns:
        ``value`` of each metric, with ``low`` and ``high`` if there are samples. The flags
        ``*_is_found`` have only ``value``.
    """
    rows = {name: {'value': number} for name, number in numbers.items()}
    if samples:
        for name, row in rows.items():
            if name.endswith('_is_found'):
                continue
            drawn = [sample[name] for sample in samples]
            row['low'], row['high'] = (float(q) for q in np.quantile(drawn, (0.025, 0.975)))
    return rows
