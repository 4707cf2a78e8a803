"""Files of measured receptive fields, with their provenance and the state to resume from."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mmgab.atomic_file import replacing

from .measurement import ContributionSums, Erf
from .units import Unit

_FORMAT = 1


def save_erf(erf: Erf, path: Path, meta: Mapping) -> None:
    """Write fields and their provenance, and replace an existing file atomically.

    The arrays ``mean`` and ``second_moment`` are ``(units, H, W)``. ``groups`` holds the sums that
    bootstrap intervals are computed from. ``about`` is JSON.

    Args:
        erf: The fields.
        path: The ``.npz`` to write.
        meta: Provenance, as JSON values.
    """
    about = dict(
        format=_FORMAT,
        protocol=erf.protocol,
        size=erf.size,
        grid=erf.grid,
        units=[asdict(unit) for unit in erf.units],
        seen=erf.seen,
        count=[sums.count for sums in erf.sums],
        refused=erf.refused,
        meta=dict(meta),
    )
    with replacing(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(
            file,
            mean=np.stack([sums.mean for sums in erf.sums]),
            second_moment=np.stack([sums.second_moment for sums in erf.sums]),
            groups=np.stack([sums.groups for sums in erf.sums]),
            about=np.array(json.dumps(about)),
        )


def load_erf(path: Path) -> tuple[Erf, dict]:
    """Read a file written by :func:`save_erf`.

    Returns:
        The fields and ``meta``.

    Raises:
        ValueError: If the file does not contain receptive fields.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(str(arrays['about']))
            groups, moments = arrays['groups'], arrays['second_moment']
    except (KeyError, OSError, ValueError, EOFError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f'{path} is not a file of receptive fields: {error}') from error
    sums = [
        ContributionSums(group.copy(), moment * count, count)
        for group, moment, count in zip(groups, moments, about['count'], strict=True)
    ]
    units = [
        Unit(unit['name'], tuple(tuple(place) for place in unit['positions']))
        for unit in about['units']
    ]
    erf = Erf(
        about['protocol'],
        tuple(about['size']),
        tuple(about['grid']),
        units,
        sums,
        about['refused'],
        about['seen'],
    )
    return erf, about['meta']
