"""Compare the labels of a split's label maps with the classes of the config."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .findings import Finding
from .label_map_file import VALUES, LabelMap

_VOID = 255  # value that MMSegmentation's loader writes for ignored pixels
_VOID_NAMES = re.compile(r'void|un-?label+ed|ignored?|unknown|don.?t.?care', re.IGNORECASE)
_MANY = 1000  # pixels; fewer do not show where a class occurs


@dataclass(frozen=True)
class Labels:
    """Allowed labels of a split.

    Attributes:
        classes: Classes of the dataset, in the order of their labels.
        reduces_zero: The dataset's ``reduce_zero_label``.
        ignored: ``ignore_index`` of the losses, or of the metric.
        label_map: MMSegmentation's ``label_map`` for a subset of the classes.
        is_training: Whether the split is the training set.
    """

    classes: Sequence[str]
    reduces_zero: bool = False
    ignored: int = _VOID
    label_map: Mapping[int, int] | None = None
    is_training: bool = True

    def of_values(self) -> np.ndarray:
        """Return the label of each file value, as MMSegmentation's ``LoadAnnotations`` maps it."""
        labels: np.ndarray = np.arange(VALUES)
        if self.reduces_zero:
            labels = np.where(labels == 0, _VOID, labels - 1)
            labels[_VOID] = _VOID
        renamed = labels.copy()
        for old, new in (self.label_map or {}).items():
            renamed[labels == old] = new % VALUES  # some versions use -1 for ignored classes
        return renamed

    def count(self, histogram: np.ndarray) -> np.ndarray:
        """Return pixels per label from pixels per file value."""
        return np.bincount(self.of_values(), weights=histogram, minlength=VALUES).astype(np.int64)


def check_labels(maps: Sequence[LabelMap], labels: Labels) -> Iterator[Finding]:
    """Check that the labels match the classes of the config.

    Args:
        maps: Label maps of a split.
        labels: Allowed labels.
    """
    for found in maps:
        yield from found.findings
        if found.problem is not None:
            yield Finding('label map cannot be read', f'{found.path}: {found.problem}')
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
    """Count the pixels of every class."""
    total = _sum(found.histogram for found in maps)
    counts = labels.count(total)
    return {name: int(counts[label]) for label, name in enumerate(labels.classes)}


def _sum(histograms: Iterable[np.ndarray]) -> np.ndarray:
    return sum(histograms, np.zeros(VALUES, np.int64))


def missing_classes(pixels: Mapping[str, int]) -> Iterator[Finding]:
    """Report classes without pixels."""
    for name, number in pixels.items():
        if not number:
            yield Finding('class without pixels', name, is_error=False)


def _confusion(total: np.ndarray, labels: Labels) -> Iterator[Finding]:
    """Report labels that suggest another ``reduce_zero_label``."""
    number = len(labels.classes)
    values = [int(value) for value in np.flatnonzero(total) if value not in (_VOID, labels.ignored)]
    if labels.label_map or not values:
        return
    kind = 'reduce_zero_label may not match the labels'
    if labels.reduces_zero and 0 in values and max(values) == number - 1:
        detail = (
            f'labels are 0 to {number - 1} for {number} classes; reduce_zero_label=True ignores '
            'label 0, and the last class never occurs'
        )
        # With gaps in the labels it is a guess: a part of a dataset may lack its last class.
        yield Finding(kind, detail, is_error=len(values) == number and labels.is_training)
    if not labels.reduces_zero and max(values) == number:
        detail = f'labels are {min(values)} to {number} for {number} classes; ' + (
            'if 0 means unlabelled, set reduce_zero_label=True'
            if min(values) <= 1
            else 'the first class needs label 0, or 1 with reduce_zero_label=True'
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
        guess = _guess(found, values, labels)
        detail = f'{found.path}: labels {values[:5]}, allowed are {allowed}{guess}'
        yield Finding('label is not a class', detail)


def _guess(found: LabelMap, wrong: Sequence[int], labels: Labels) -> str:
    """Guess the meaning of values outside the classes."""
    there = np.flatnonzero(found.histogram)
    if labels.ignored != _VOID and wrong == [_VOID]:
        return f'; 255 often means unlabelled, ignore_index is {labels.ignored}'
    if len(there) <= len(labels.classes) + 1 and wrong[-1] > len(labels.classes):
        return f'; {len(there)} values look like grey levels or colours, not class indices'
    return ''


def _without_labels(maps: Sequence[LabelMap], labels: Labels) -> Iterator[Finding]:
    """Report label maps, or complete splits, in which all pixels are ignored."""
    number = len(labels.classes)
    counts = [labels.count(found.histogram) for found in maps]
    is_empty = [not np.delete(count[:number], _of_classes(labels)).any() for count in counts]
    if all(is_empty):
        values = [int(value) for value in np.flatnonzero(_sum(found.histogram for found in maps))]
        detail = (
            f'all pixels have ignored labels {values[:5]}, with reduce_zero_label='
            f'{labels.reduces_zero} and ignore_index={labels.ignored}'
        )
        yield Finding('dataset without labelled pixels', detail)
    for found, nothing in zip(maps, is_empty, strict=True):
        if nothing:
            yield Finding('label map without labelled pixels', found.path, is_error=False)


def _of_classes(labels: Labels) -> list[int]:
    """Return the ignored label if it is the label of a class."""
    return [labels.ignored] if labels.ignored < len(labels.classes) else []


def _void_for_a_class(maps: Sequence[LabelMap], labels: Labels) -> Iterator[Finding]:
    """Report 255 together with all classes but one, as in masks of 0 and 255."""
    number = len(labels.classes)
    counts = [labels.count(found.histogram) for found in maps]
    missing = np.flatnonzero(_sum(counts)[:number] == 0)
    if len(missing) != 1 or labels.reduces_zero:
        return
    mixed = [
        found
        for found, count in zip(maps, counts, strict=True)
        if count[:number].any() and count[_VOID]
    ]
    if mixed and number > 1:
        missed = int(missing[0])
        detail = (
            f'{mixed[0].path}: 255 means unlabelled, and {labels.classes[missed]!r} has no pixels; '
            f'if 255 means this class, write {missed}'
        )
        yield Finding('255 may be a class', detail, is_error=number == 2)


def _other_palettes(maps: Sequence[LabelMap]) -> Iterator[Finding]:
    """Report palettes that give one index different colours."""
    first: dict[int, LabelMap] = {}
    for found in maps:
        for value, colour in found.colours.items():
            other = first.setdefault(value, found)
            if other.colours[value] != colour:
                instead = f'{other.colours[value]} in {other.path}'
                detail = f'{found.path}: index {value} is {colour}, {instead}'
                yield Finding('label maps with different palettes', detail, is_error=False)
                break


def _class_for_void(inside: np.ndarray, total: np.ndarray, labels: Labels) -> Iterator[Finding]:
    """Report classes that may mean unlabelled: by name, or the last one, if only at borders."""
    kind = 'class may mean unlabelled'
    for label, name in enumerate(labels.classes):
        if _VOID_NAMES.search(str(name)) and label != labels.ignored:
            detail = f'{name!r} is label {label}, trained and evaluated like other classes'
            yield Finding(kind, detail, is_error=False)
    last = len(labels.classes) - 1
    counts, counts_inside = labels.count(total), labels.count(inside)
    if last > 1 and counts[last] > _MANY and not counts_inside[last]:
        detail = f'{labels.classes[last]!r} has pixels only at borders, as void labels do'
        yield Finding(kind, detail, is_error=False)
