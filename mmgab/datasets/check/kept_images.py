"""Check the images and instances that a dataset keeps after filtering, and their keys."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .dataset_parts import Part
from .findings import Finding, Split, shown
from .pipelines import reads, steps

# Keys of an instance that a transform reads if the flag is set.
_KEYS = dict(with_bbox=('bbox', 'ignore_flag'), with_label=('bbox_label',), with_mask=('mask',))


def count_kept(split: Split, part: Part, classes: Sequence[str]) -> None:
    """Count the images and instances that a dataset keeps, without ignored ones (crowds)."""
    learned = [
        each
        for info in part.infos
        for each in info.get('instances', ())
        if not each.get('ignore_flag')
    ]
    labels = Counter(each.get('bbox_label') for each in learned)
    split.count(
        {'images kept': len(part.infos), 'instances kept': len(learned)},
        {name: labels[label] for label, name in enumerate(classes)},
    )


def check_keys(part: Part) -> Iterator[Finding]:
    """Report keys of instances that the pipeline reads and the dataset does not provide."""
    pipeline = part.dataset.pipeline
    wanted = [key for flag, keys in _KEYS.items() if reads(pipeline, flag) for key in keys]
    for info in part.infos:
        for instance in info.get('instances', ()):
            for key in wanted:
                if key not in instance:
                    detail = f'{info.get("img_path")}: bbox {shown(instance.get("bbox"))}'
                    yield Finding(f'instance without {key}, which the pipeline reads', detail)


def ignore_run_lengths(part: Part) -> Iterator[Finding]:
    """Report RLE masks that a polygon-only pipeline ignores, and set their ``ignore_flag``."""
    takes_polygons = [
        getattr(step, 'with_mask', False) and not getattr(step, 'poly2mask', True)
        for step in steps(part.dataset.pipeline)
    ]
    for info in part.infos if any(takes_polygons) else ():
        for instance in info.get('instances', ()):
            if isinstance(instance.get('mask'), Mapping) and not instance.get('ignore_flag'):
                instance['ignore_flag'] = 1
                detail = f'{info.get("img_path")}: bbox {shown(instance.get("bbox"))}'
                yield Finding('RLE mask is ignored with poly2mask=False', detail, is_error=False)


def check_seg_maps(part: Part) -> Iterator[Finding]:
    """Report missing label maps that the pipeline reads."""
    if not reads(part.dataset.pipeline, 'with_seg'):
        return
    for info in part.infos:
        path = info.get('seg_map_path')
        if not path or not Path(path).is_file():
            detail = f'{info.get("img_path")}: {path or "data_prefix.seg is not set"}'
            yield Finding('label map is missing, with_seg=True reads it', detail)
