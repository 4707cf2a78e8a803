"""Annotations that COCO's evaluation is to score: what it reads of each, and cannot take."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

# Of MMDetection's metrics, whose compute_metrics reads annotations as COCO's own evaluation does.
_METRICS = ('CocoMetric', 'CocoOccludedSeparatedMetric')


class Unscorable(NamedTuple):
    """An annotation that cannot be scored.

    Attributes:
        kind: Why, in a few words.
        detail: Which it is.
        stops: Whether the evaluation fails; else its score is wrong.
    """

    kind: str
    detail: str
    stops: bool


def scores_as_coco(metric: Callable | None) -> bool:
    """Tell whether a class of metrics scores annotations with pycocotools, and in its way."""
    compute = getattr(metric, 'compute_metrics', None)
    return getattr(compute, '__qualname__', '').partition('.')[0] in _METRICS


def keys_read(metrics: Sequence[str]) -> list[str]:
    """Keys of an annotation that pycocotools reads, whatever their values.

    Args:
        metrics: Of ``CocoMetric``: ``'bbox'``, ``'segm'`` or a kind of proposals.
    """
    return ['iscrowd', 'area', 'bbox', *(['segmentation'] if 'segm' in metrics else [])]


def unscorable(
    annotations: Iterable[Mapping], images: Mapping, keys: Sequence[str]
) -> Iterator[Unscorable]:
    """Look for what pycocotools reads of annotations and is not there, or cannot be used.

    Args:
        annotations: Those that are scored.
        images: Of the file, by id; those that are not there have findings of their own.
        keys: That are read, see :func:`keys_read`.
    """
    for annotation in annotations:
        image = images.get(annotation['image_id'])
        if image is None:
            continue
        name = f'annotation {annotation["id"]} of {image.get("file_name")}'
        for key in keys:
            if annotation.get(key) in (None, [], {}):
                state = 'is not there' if key not in annotation else f'is {annotation[key]!r}'
                kind = f'annotation without {key}, which the evaluator reads'
                yield Unscorable(kind, f'{name}: {key} {state}', True)
        yield from _check_id(annotation['id'], name)


def _check_id(value: float | str, name: str) -> Iterator[Unscorable]:
    """The id of a matched annotation is kept in an array of zeros, where 0 is no match."""
    kind = 'annotation id that the evaluator cannot take'
    try:
        is_match = float(value) != 0
    except (ValueError, TypeError, OverflowError):
        yield Unscorable(kind, f'{name}: the id is no number', True)
        return
    if not is_match:
        yield Unscorable(kind, f'{name}: id 0 counts as missed, however well it is found', False)
