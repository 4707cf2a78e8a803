"""Annotation files that COCO's evaluation is to score."""

from collections.abc import Iterator, Mapping, Sequence

from mmgab.datasets.scored_annotations import keys_read, unscorable

from .findings import Finding


def check_scored(
    content: Mapping, names: Sequence[str], metrics: Sequence[str]
) -> Iterator[Finding]:
    """Check what pycocotools reads of a file, and that there is something to score.

    Args:
        content: Of the evaluator's annotation file.
        names: Of the categories that are scored.
        metrics: Of MMDetection's ``CocoMetric``: ``'bbox'``, ``'segm'`` or a kind of proposals.
    """
    yield from _check_kinds(content)
    ids = {each['id'] for each in content['categories'] if each['name'] in names}
    takes_all = any(metric.startswith('proposal') for metric in metrics)
    scored = [a for a in content['annotations'] if takes_all or a['category_id'] in ids]
    images = {image['id']: image for image in content['images']}
    # Boxes and areas are looked at with the file, more closely.
    keys = [key for key in keys_read(metrics) if key not in ('area', 'bbox')]
    for found in unscorable(scored, images, keys):
        yield Finding(found.kind, found.detail)
    if not scored and content['annotations']:
        yield Finding('evaluator without an object of the classes', f'{list(names)}')
    elif not scored:
        yield Finding('evaluator without an object', 'all scores will be -1', is_error=False)


def _check_kinds(content: Mapping) -> Iterator[Finding]:
    """Note ids of two kinds: they are sorted."""
    for key in ('images', 'categories'):
        kinds = {isinstance(each['id'], str) for each in content[key]}
        if len(kinds) > 1:
            detail = f'ids of {key} are numbers and texts, which cannot be sorted'
            yield Finding('ids that the evaluator cannot take', detail)
