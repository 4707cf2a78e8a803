"""Masks of instances: polygons and run lengths, as annotation files have them."""

import math
from collections.abc import Iterator, Mapping

from .findings import Finding, shown
from .json_values import are_numbers, is_side
from .run_lengths import run_lengths

OUTSIDE = 1.0  # pixels that a box or polygon may reach beyond its image, as rounding does


def check_mask(mask: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    """Look at a mask.

    Args:
        mask: Polygons or run lengths.
        size: Width and height of the image; infinite where they are not known.
        name: Of the annotation.
    """
    if isinstance(mask, Mapping):
        yield from _check_run_lengths(mask, size, name)
    elif not isinstance(mask, list) or not mask:
        yield Finding('mask without a polygon', f'{name}: {shown(mask)}')
    else:
        for polygon in mask:
            yield from _check_polygon(polygon, size, name)


def reaches_out(corners: tuple[float, ...], size: tuple[float, float]) -> bool:
    """Tell whether (left, top, right, bottom) reach beyond an image of (width, height)."""
    left, top, right, bottom = corners
    return min(left, top) < -OUTSIDE or right > size[0] + OUTSIDE or bottom > size[1] + OUTSIDE


def _check_polygon(polygon: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    if not are_numbers(polygon) or len(polygon) < 6 or len(polygon) % 2:
        yield Finding('polygon of less than three points', f'{name}: {shown(polygon)}')
        return
    # As floats: their products become infinite at worst, where large integers raise an error.
    x, y = (list(map(float, polygon[start::2])) for start in (0, 1))
    if reaches_out((min(x), min(y), max(x), max(y)), size):
        detail = f'{name}: x {min(x)} to {max(x)}, y {min(y)} to {max(y)} in {size}'
        yield Finding('polygon that reaches beyond its image', detail)
    twice_area = sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))
    if twice_area == 0:
        yield Finding('polygon without area', f'{name}: {shown(polygon)}')


def _check_run_lengths(mask: Mapping, size: tuple[float, float], name: str) -> Iterator[Finding]:
    shape = mask.get('size')
    if not isinstance(shape, list) or len(shape) != 2 or not all(map(is_side, shape)):
        detail = f'{name}: size {shown(shape)} is no [height, width]'
        yield Finding('mask that cannot be decoded', detail)
        return
    height, width = map(int, shape)
    if math.inf not in size and (width, height) != size:
        yield Finding('mask of another size', f'{name}: {(width, height)} in {size}')
        return
    try:
        runs = run_lengths(mask.get('counts'))
    except ValueError as error:
        yield Finding('mask that cannot be decoded', f'{name}: {error}')
        return
    if sum(runs) != height * width:
        detail = f'{name}: {sum(runs)} pixels in place of {height} x {width}'
        yield Finding('mask whose run lengths do not add up', detail)
    elif not sum(runs[1::2]):
        yield Finding('mask without area', name)
