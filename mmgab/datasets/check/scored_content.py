"""Check annotation files for the COCO evaluation."""

from collections.abc import Iterator, Mapping, Sequence

from mmgab.datasets.scored_annotations import keys_read, unscorable

from .findings import Finding


def check_scored(
    content: Mapping, names: Sequence[str], metrics: Sequence[str]
) -> Iterator[Finding]:
    """Check the keys that pycocotools reads, and that there are annotations to evaluate.

    Args:
        content: The evaluator's annotation file.
        names: Names of the evaluated categories.
        metrics: ``metric`` of ``CocoMetric``: ``'bbox'``, ``'segm'`` or a proposal metric.
    """
    yield from _check_kinds(content)
    ids = {each['id'] for each in content['categories'] if each['name'] in names}
    takes_all = any(metric.startswith('proposal') for metric in metrics)
    scored = [a for a in content['annotations'] if takes_all or a['category_id'] in ids]
    images = {image['id']: image for image in content['images']}
    # Boxes and areas are checked in more detail with the file.
    keys = [key for key in keys_read(metrics) if key not in ('area', 'bbox')]
    for found in unscorable(scored, images, keys):
        yield Finding(found.kind, found.detail)
    if not scored and content['annotations']:
        yield Finding(
            'ann_file of the evaluator has no annotation of the classes',
            f'classes: {list(names)[:20]}',
        )
    elif not scored:
        yield Finding(
            'ann_file of the evaluator has no annotations', 'all scores will be -1', is_error=False
        )


def _check_kinds(content: Mapping) -> Iterator[Finding]:
    """Report ids that mix numbers and strings, as pycocotools sorts them."""
    for key in ('images', 'categories'):
        kinds = {isinstance(each['id'], str) for each in content[key]}
        if len(kinds) > 1:
            detail = f'{key}: pycocotools cannot sort numbers and strings together'
            yield Finding('ids mix numbers and strings', detail)
