"""Label maps of a split: the labels they have in training, against the config's classes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .findings import Finding
from .label_map_file import VALUES, LabelMap

_VOID = 255  # what MMSegmentation's loader makes of pixels without a label
_VOID_NAMES = re.compile(r'void|un-?label+ed|ignored?|unknown|don.?t.?care', re.IGNORECASE)
_MANY = 1000  # pixels; fewer say nothing of where a class lies


@dataclass(frozen=True)
class Labels:
    """What labels a split may have.

    Attributes:
        classes: Of the data set, in the order of their labels.
        reduces_zero: Whether 0 in a file stands for no label and 1 for the first class.
        ignored: The label that the loss, or the metric, leaves out.
        label_map: MMSegmentation's for a subset of the classes: new label of an old one.
        is_training: Whether a model learns from the split.
    """

    classes: Sequence[str]
    reduces_zero: bool = False
    ignored: int = _VOID
    label_map: Mapping[int, int] | None = None
    is_training: bool = True

    def of_values(self) -> np.ndarray:
        """Label of each value of a file, as MMSegmentation's ``LoadAnnotations`` computes it."""
        labels: np.ndarray = np.arange(VALUES)
        if self.reduces_zero:
            labels = np.where(labels == 0, _VOID, labels - 1)
            labels[_VOID] = _VOID
        renamed = labels.copy()
        for old, new in (self.label_map or {}).items():
            renamed[labels == old] = new % VALUES  # some versions write -1 for none
        return renamed

    def count(self, histogram: np.ndarray) -> np.ndarray:
        """Pixels of each label, from those of each value."""
        return np.bincount(self.of_values(), weights=histogram, minlength=VALUES).astype(np.int64)


def check_labels(maps: Sequence[LabelMap], labels: Labels) -> Iterator[Finding]:
    """Whether the labels are those of the config's classes.

    Args:
        maps: Of a split.
        labels: Which it may have.
    """
    for found in maps:
        yield from found.findings
        if found.problem is not None:
            yield Finding('label map that cannot be read', f'{found.path}: {found.problem}')
    read = [found for found in maps if found.size is not None]
    if not read:
        return
    total = _sum(found.histogram for found in read)
    yield from _confusion(total, labels)
    yield from _wrong_labels(read, labels)
    yield from _without_labels(read, labels)
    yield from _void_for_a_class(read, labels)
    yield from _other_palettes(read)
    yield from _class_for_void(_sum(found.inside for found in read), total, labels)


def pixels_of_classes(maps: Sequence[LabelMap], labels: Labels) -> dict[str, int]:
    """Pixels of every class."""
    total = _sum(found.histogram for found in maps)
    counts = labels.count(total)
    return {name: int(counts[label]) for label, name in enumerate(labels.classes)}


def _sum(histograms: Iterable[np.ndarray]) -> np.ndarray:
    return sum(histograms, np.zeros(VALUES, np.int64))


def missing_classes(pixels: Mapping[str, int]) -> Iterator[Finding]:
    """Classes that no pixel has."""
    for name, number in pixels.items():
        if not number:
            yield Finding('class without a pixel', name, is_error=False)


def _confusion(total: np.ndarray, labels: Labels) -> Iterator[Finding]:
    """What speaks against the config's ``reduce_zero_label``, if anything."""
    number = len(labels.classes)
    values = [int(value) for value in np.flatnonzero(total) if value not in (_VOID, labels.ignored)]
    if labels.label_map or not values:
        return
    kind = 'reduce_zero_label may not fit the labels'
    if labels.reduces_zero and 0 in values and max(values) == number - 1:
        detail = (
            f'labels are 0 to {number - 1} and {number} classes are there: with '
            'reduce_zero_label=True the first class would be no label, and the last never seen'
        )
        # A guess where labels have gaps: a part of a data set may lack its last class.
        yield Finding(kind, detail, is_error=len(values) == number and labels.is_training)
    if not labels.reduces_zero and max(values) == number:
        detail = f'labels are {min(values)} to {number} and {number} classes are there: ' + (
            '0 seems to stand for no label, which is reduce_zero_label=True'
            if min(values) <= 1
            else 'the first class is label 0, and 1 with reduce_zero_label=True'
        )
        yield Finding(kind, detail, is_error=False)


def _wrong_labels(maps: Sequence[LabelMap], labels: Labels) -> Iterator[Finding]:
    last = len(labels.classes) - 1
    of_values = labels.of_values()
    is_wrong = (of_values > last) & (of_values != labels.ignored)
    for found in maps:
        values = [int(value) for value in np.flatnonzero(found.histogram * is_wrong)]
        if not values:
            continue
        allowed = f'0 to {last + labels.reduces_zero} and {labels.ignored}'
        detail = f'{found.path}: {values[:5]}, allowed are {allowed}{_guess(found, values, labels)}'
        yield Finding('label that is no class', detail)


def _guess(found: LabelMap, wrong: Sequence[int], labels: Labels) -> str:
    """What values that are no classes may be."""
    there = np.flatnonzero(found.histogram)
    if labels.ignored != _VOID and wrong == [_VOID]:
        return f'; 255 stands for no label in other tools, ignore_index is {labels.ignored}'
    if len(there) <= len(labels.classes) + 1 and wrong[-1] > len(labels.classes):
        return f'; {len(there)} different values: shades or colours in place of indices?'
    return ''


def _without_labels(maps: Sequence[LabelMap], labels: Labels) -> Iterator[Finding]:
    """Maps, or whole splits, whose every pixel is ignored."""
    number = len(labels.classes)
    counts = [labels.count(found.histogram) for found in maps]
    is_empty = [not np.delete(count[:number], _of_classes(labels)).any() for count in counts]
    if all(is_empty):
        values = [int(value) for value in np.flatnonzero(_sum(found.histogram for found in maps))]
        detail = (
            f'the values are {values[:5]}, with reduce_zero_label={labels.reduces_zero} and '
            f'ignore_index={labels.ignored} all without a class'
        )
        yield Finding('data set without a labelled pixel', detail)
    for found, nothing in zip(maps, is_empty, strict=True):
        if nothing:
            yield Finding('label map without a label', found.path, is_error=False)


def _of_classes(labels: Labels) -> list[int]:
    """The ignored label, where it is that of a class."""
    return [labels.ignored] if labels.ignored < len(labels.classes) else []


def _void_for_a_class(maps: Sequence[LabelMap], labels: Labels) -> Iterator[Finding]:
    """255 beside all classes but one: the usual mask of 0 and 255, read as void."""
    number = len(labels.classes)
    counts = [labels.count(found.histogram) for found in maps]
    missing = np.flatnonzero(_sum(counts)[:number] == 0)
    if len(missing) != 1 or labels.reduces_zero:
        return
    beside = [
        found
        for found, count in zip(maps, counts, strict=True)
        if count[:number].any() and count[_VOID]
    ]
    if beside and number > 1:
        missed = int(missing[0])
        detail = (
            f'255 stands for no label, and {labels.classes[missed]!r} has no pixel: is 255 meant '
            f'to be {missed}? ({beside[0].path})'
        )
        yield Finding('255 may be meant as a class', detail, is_error=number == 2)


def _other_palettes(maps: Sequence[LabelMap]) -> Iterator[Finding]:
    """Palettes in which one value has several colours: indices that a program chose anew?"""
    first: dict[int, LabelMap] = {}
    for found in maps:
        for value, colour in found.colours.items():
            other = first.setdefault(value, found)
            if other.colours[value] != colour:
                detail = (
                    f'{found.path}: {value} is {colour}, {other.colours[value]} in {other.path}'
                )
                yield Finding('label maps with different palettes', detail, is_error=False)
                break


def _class_for_void(inside: np.ndarray, total: np.ndarray, labels: Labels) -> Iterator[Finding]:
    """A class that may be none: by its name, or as the last one that lies at borders only."""
    kind = 'class that may stand for no label'
    for label, name in enumerate(labels.classes):
        if _VOID_NAMES.search(str(name)) and label != labels.ignored:
            detail = f'{name!r} is label {label}, which is trained and counts in the score'
            yield Finding(kind, detail, is_error=False)
    last = len(labels.classes) - 1
    counts, counts_inside = labels.count(total), labels.count(inside)
    if last > 1 and counts[last] > _MANY and not counts_inside[last]:
        detail = f'{labels.classes[last]!r} has pixels only at borders between others: void?'
        yield Finding(kind, detail, is_error=False)
