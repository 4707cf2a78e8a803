"""Find annotations that the COCO evaluation cannot score: missing keys, invalid ids."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

# MMDetection metrics whose compute_metrics evaluates with pycocotools.
_METRICS = ('CocoMetric', 'CocoOccludedSeparatedMetric')


class Unscorable(NamedTuple):
    """Annotation that cannot be scored.

    Attributes:
        kind: Title of the defect.
        detail: The annotation and the value found.
        stops: True if the evaluation fails; False if its score is wrong.
    """

    kind: str
    detail: str
    stops: bool


def scores_as_coco(metric: Callable | None) -> bool:
    """Return True if a metric class evaluates annotations as MMDetection's ``CocoMetric`` does."""
    compute = getattr(metric, 'compute_metrics', None)
    return getattr(compute, '__qualname__', '').partition('.')[0] in _METRICS


def keys_read(metrics: Sequence[str]) -> list[str]:
    """Return the keys of an annotation that pycocotools reads.

    Args:
        metrics: ``metric`` of ``CocoMetric``: ``'bbox'``, ``'segm'`` or a proposal metric.
    """
    return ['iscrowd', 'area', 'bbox', *(['segmentation'] if 'segm' in metrics else [])]


def unscorable(
    annotations: Iterable[Mapping], images: Mapping, keys: Sequence[str]
) -> Iterator[Unscorable]:
    """Yield annotations with missing keys or ids that pycocotools cannot use.

    Args:
        annotations: Evaluated annotations.
        images: Images of the file by id; an unknown ``image_id`` is another finding.
        keys: Keys that are read, see :func:`keys_read`.
    """
    for annotation in annotations:
        image = images.get(annotation['image_id'])
        if image is None:
            continue
        name = f'annotation {annotation["id"]} of {image.get("file_name")}'
        for key in keys:
            if annotation.get(key) in (None, [], {}):
                state = 'is missing' if key not in annotation else f'is {annotation[key]!r}'
                kind = f'annotation without {key}, which the evaluator reads'
                yield Unscorable(kind, f'{name}: {key} {state}', True)
        yield from _check_id(annotation['id'], name)


def _check_id(value: float | str, name: str) -> Iterator[Unscorable]:
    """Check an id: pycocotools stores ids of matches in an array in which 0 means no match."""
    kind = 'annotation id is not usable by the evaluator'
    try:
        is_match = float(value) != 0
    except (ValueError, TypeError, OverflowError):
        yield Unscorable(kind, f'{name}: the id is not a number', True)
        return
    if not is_match:
        yield Unscorable(
            kind, f'{name}: id 0 counts as missed even if detected, start ids at 1', False
        )
