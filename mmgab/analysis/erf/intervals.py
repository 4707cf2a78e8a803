"""How far a map's numbers are known: 95 % bootstrap intervals over images."""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from tqdm import tqdm

from .gaussian_surface import GaussianSurface
from .measure import ContributionSums
from .metrics import Centre, describe_map


def describe_sums(
    sums: ContributionSums,
    centre: Centre,
    window: tuple[float, float] | None = None,
    samples: int = 100,
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Every number of the mean map, with its interval over images.

    Args:
        sums: Over images.
        centre: The unit's row and column, in pixels.
        window: Height and width of an attention window, in pixels, if there are any.
        samples: Bootstrap samples; 0, or a single image, for no intervals.
        seed: Of the draw.

    Returns:
        As :func:`with_intervals`, names as in :func:`describe_map`.
    """
    describe = partial(describe_map, centre=centre, window=window)
    whole = describe(sums.mean)
    # The same Gaussian, a little elsewhere: where to search from is known.
    fit = {name[4:]: value for name, value in whole.items() if name.startswith('fit_')}
    start = GaussianSurface(**fit)
    draws = np.random.default_rng(seed)
    drawn = [
        describe(sums.resampled(draws), start=start if start.is_found else None)
        for _ in tqdm(range(samples if sums.count > 1 else 0), 'intervals', leave=False)
    ]
    return with_intervals(whole, drawn)


def with_intervals(
    numbers: Mapping[str, float], samples: Sequence[Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Numbers of a map, each with its 95 % interval over bootstrap samples.

    Args:
        numbers: Of the map of all images.
        samples: Of maps of drawn images; none for no intervals.

    Returns:
        For each number ``value``, and ``low`` and ``high`` where there are samples.
    """
    rows = {name: {'value': number} for name, number in numbers.items()}
    if samples:
        for name, row in rows.items():
            drawn = [sample[name] for sample in samples]
            row['low'], row['high'] = (float(q) for q in np.quantile(drawn, (0.025, 0.975)))
    return rows
