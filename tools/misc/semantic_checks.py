"""Label maps of pixels: which values they hold, and whether these are the config's classes."""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from findings import Finding
from image_checks import reason
from PIL import Image

from mmgab.datasets.image_file import check_image, pillow_limit, read_regular_file

_VALUES = 256


@dataclass(frozen=True)
class LabelMap:
    """A label map.

    Attributes:
        path: Of the file.
        size: Width and height in pixels; None where it cannot be read.
        histogram: Pixels of each value, as they are in the file.
        problem: Why it cannot be read, if so.
    """

    path: str
    size: tuple[int, int] | None
    histogram: np.ndarray
    problem: str | None

    @classmethod
    def unreadable(cls, path: str, problem: str) -> 'LabelMap':
        """A label map that cannot be read."""
        return cls(path, None, np.zeros(_VALUES, np.int64), problem)


def look_at_labels(path: str, max_bytes: int, max_pixels: int) -> LabelMap:
    """Read a label map to its last pixel.

    Args:
        path: Of the file.
        max_bytes: Size of the file at most.
        max_pixels: Width times height at most.
    """
    try:
        content = read_regular_file(path, max_bytes)
        check_image(content, max_pixels)
        with pillow_limit(max_pixels), Image.open(io.BytesIO(content)) as image:
            labels = np.array(image)
    except Exception as error:  # a decoder raises nearly anything on bytes that are no image
        return LabelMap.unreadable(path, reason(error))
    if labels.dtype == bool:  # of one bit a pixel, which training reads as 0 and 1
        labels = labels.astype(np.uint8)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        found = f'it has {labels.dtype} of shape {labels.shape}'
        return LabelMap.unreadable(path, f'{found}, not one byte a pixel')
    height, width = labels.shape
    # Row by row: NumPy counts in a copy of eight bytes a pixel.
    rows = (np.bincount(row, minlength=_VALUES) for row in labels)
    return LabelMap(path, (width, height), sum(rows, np.zeros(_VALUES, np.int64)), None)


def check_labels(
    maps: Sequence[LabelMap], classes: int, reduces_zero: bool, ignored: int
) -> Iterator[Finding]:
    """Whether the values are those of the config's classes.

    Args:
        maps: Of a split.
        classes: How many the config has.
        reduces_zero: Whether 0 stands for no label and 1 for the first class.
        ignored: The value that stands for no label.
    """
    for found in maps:
        if found.problem is not None:
            yield Finding('label map that cannot be read', f'{found.path}: {found.problem}')
    total = sum(found.histogram for found in maps)
    values = [int(value) for value in np.flatnonzero(total) if value != ignored]
    last = classes if reduces_zero else classes - 1
    confusion = _confusion(values, classes, reduces_zero)
    if confusion:
        # A guess: a part of a data set may lack its last class.
        yield Finding('reduce_zero_label may not fit the labels', confusion, is_error=False)
    for found in maps:
        wrong = [int(v) for v in np.flatnonzero(found.histogram) if v != ignored and v > last]
        if wrong:
            detail = f'{found.path}: {wrong[:5]}, allowed are 0 to {last} and {ignored}'
            yield Finding('label that is no class', detail)
        if found.problem is None and not found.histogram[:ignored].any():
            yield Finding('label map without a label', found.path, is_error=False)


def _confusion(values: Sequence[int], classes: int, reduces_zero: bool) -> str | None:
    """What speaks against the config's ``reduce_zero_label``, if anything."""
    if not values:
        return None
    if reduces_zero and 0 in values and max(values) == classes - 1:
        return (
            f'labels are 0 to {classes - 1} and {classes} classes are there: with '
            'reduce_zero_label=True the first class would be no label, and the last never seen'
        )
    if not reduces_zero and 0 in values and max(values) == classes:
        return (
            f'labels are 0 to {classes} and {classes} classes are there: 0 seems to stand for no '
            'label, which is reduce_zero_label=True'
        )
    return None


def renamed(found: LabelMap, label_map: Mapping[int, int] | None, first: int) -> LabelMap:
    """A label map with the labels that a subset of the classes gets.

    Args:
        found: As it is in the file.
        label_map: MMSegmentation's: new label of an old one, 255 or -1 for none.
        first: The value of label 0.
    """
    if not label_map:
        return found
    histogram = found.histogram.copy()
    for old in label_map:
        histogram[old + first] = 0
    for old, new in label_map.items():
        is_label = 0 <= new < _VALUES - 1
        histogram[new + first if is_label else _VALUES - 1] += found.histogram[old + first]
    return replace(found, histogram=histogram)


def pixels_of_classes(
    maps: Sequence[LabelMap], names: Sequence[str], reduces_zero: bool
) -> dict[str, int]:
    """Pixels of every class."""
    total = sum((found.histogram for found in maps), np.zeros(_VALUES, np.int64))
    return {name: int(total[label + reduces_zero]) for label, name in enumerate(names)}


def missing_classes(pixels: Mapping[str, int]) -> Iterator[Finding]:
    """Classes that no pixel has."""
    for name, number in pixels.items():
        if not number:
            yield Finding('class without a pixel', name, is_error=False)
