"""Check instance masks of annotation files: polygons and run-length encoding (RLE)."""

import math
from collections.abc import Iterator, Mapping

from .findings import Finding, shown
from .json_values import are_numbers, is_side
from .run_lengths import run_lengths

OUTSIDE = 1.0  # pixels that rounding may move a bbox or polygon beyond the image


def check_mask(mask: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    """Check a mask.

    Args:
        mask: Polygons or RLE.
        size: Width and height of the image; infinite if unknown.
        name: Description of the annotation.
    """
    if isinstance(mask, Mapping):
        yield from _check_run_lengths(mask, size, name)
    elif not isinstance(mask, list) or not mask:
        yield Finding(
            'segmentation is neither polygons nor RLE', f'{name}: segmentation is {shown(mask)}'
        )
    else:
        for polygon in mask:
            yield from _check_polygon(polygon, size, name)


def reaches_out(corners: tuple[float, ...], size: tuple[float, float]) -> bool:
    """Return True if (x1, y1, x2, y2) extend beyond an image of (width, height)."""
    left, top, right, bottom = corners
    return min(left, top) < -OUTSIDE or right > size[0] + OUTSIDE or bottom > size[1] + OUTSIDE


def _check_polygon(polygon: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    if not are_numbers(polygon) or len(polygon) < 6 or len(polygon) % 2:
        yield Finding('polygon is not a list of three or more points', f'{name}: {shown(polygon)}')
        return
    # Floats, whose products overflow to infinity, where large integers raise an error.
    x, y = (list(map(float, polygon[start::2])) for start in (0, 1))
    if reaches_out((min(x), min(y), max(x), max(y)), size):
        detail = f'{name}: x {min(x)} to {max(x)}, y {min(y)} to {max(y)}, image size {size}'
        yield Finding('polygon extends beyond the image', detail)
    twice_area = sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))
    if twice_area == 0:
        yield Finding('polygon without area', f'{name}: {shown(polygon)}')


def _check_run_lengths(mask: Mapping, size: tuple[float, float], name: str) -> Iterator[Finding]:
    shape = mask.get('size')
    if not isinstance(shape, list) or len(shape) != 2 or not all(map(is_side, shape)):
        detail = f'{name}: size is {shown(shape)}, expected [height, width]'
        yield Finding('RLE mask cannot be decoded', detail)
        return
    height, width = map(int, shape)
    if math.inf not in size and (width, height) != size:
        detail = f'{name}: mask {(width, height)}, image size {size}'
        yield Finding('RLE mask size differs from the image', detail)
        return
    try:
        runs = run_lengths(mask.get('counts'))
    except ValueError as error:
        yield Finding('RLE mask cannot be decoded', f'{name}: {error}')
        return
    if sum(runs) != height * width:
        detail = f'{name}: counts sum up to {sum(runs)}, expected {height} x {width}'
        yield Finding('RLE counts do not match the mask size', detail)
    elif not sum(runs[1::2]):
        yield Finding('mask without area', f'{name}: no pixel is set')
