"""Evaluators: whether the annotation file of each belongs to its loader, and can be scored."""

import os
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from mmgab.config_types import type_name, type_of
from mmgab.datasets.built_datasets import class_names, class_problem
from mmgab.datasets.scored_annotations import scores_as_coco

from .annotation_file import read_annotations
from .category_checks import check_labels, labelled_names
from .dataset_parts import Part, build_parts, has_labels
from .detector_heads import finds_boxes
from .file_reading import Reading
from .findings import Finding
from .image_checks import reason
from .instance_checks import check_annotations, check_masks
from .pipelines import reads, steps
from .scored_content import check_scored

_RESULT_KEYS = ('img_id', 'ori_shape')  # of a sample, which CocoMetric reads
_TRAINING = 'train_dataloader'


def check_evaluator(
    config: Config, name: str, parts: Sequence[Part], reading: Reading
) -> Iterator[Finding]:
    """Check an evaluator against the data sets of its loader.

    Args:
        config: A complete one.
        name: Of the evaluator.
        parts: What the loader gives.
        reading: How to read files.
    """
    if any(class_problem(class_names(part.dataset)) for part in parts):
        return
    scope = config.get('default_scope')
    for metric in _metrics(config.get(name) or []):
        kind = type_of(metric, METRICS, scope) if isinstance(metric, Mapping) else type(metric)
        if scores_as_coco(kind):
            for found in _check_coco(metric, parts, reading, config):
                yield Finding(found.kind, f'{name}: {found.detail}', found.is_error)
        elif any(part.kept is not None and _lists_instances(part) for part in parts):
            called = type_name(metric) if isinstance(metric, Mapping) else type(metric).__name__
            detail = f'{name}: {called}'
            yield Finding('evaluator of a kind that is not checked', detail, is_error=False)


def _metrics(settings: Mapping | Sequence) -> Sequence:
    """Settings of the metrics of an evaluator, in any of the forms that MMEngine takes."""
    if isinstance(settings, Mapping) and type_name(settings) == 'Evaluator':
        settings = settings['metrics']
    return settings if isinstance(settings, (list, tuple)) else [settings]


def _lists_instances(part: Part) -> bool:
    return any('instances' in info for info in part.infos)


def _check_coco(
    settings: Mapping, parts: Sequence[Part], reading: Reading, config: Config
) -> Iterator[Finding]:
    path = settings.get('ann_file')
    try:
        metric = METRICS.build({**settings, 'ann_file': None})
    except Exception as error:  # a config may hold anything
        yield Finding('evaluator that cannot be built', reason(error))
        return
    keys = (*_RESULT_KEYS, *(['scale_factor'] if finds_boxes(config) else []))
    yield from _check_samples(parts, path, keys)
    if path is None:
        return
    own = next((p for p in parts if p.content and _same(path, p.dataset.ann_file)), None)
    content: Mapping | None
    if own is None:
        content, findings = read_annotations(Path(path), reading.max_annotation_bytes)
        yield from findings
    else:
        content = own.content
    if content is not None:
        if settings.get('sort_categories'):
            by_id = sorted(content['categories'], key=lambda each: each['id'])
            content = {**content, 'categories': by_id}
        classes = class_names(parts[0].dataset) if parts else ()
        names = labelled_names(content, classes)
        if own is None or settings.get('sort_categories'):
            yield from check_labels(names, classes, path)
        yield from _check_number(names, config)
        yield from _check_content(content, metric, parts, own, path)


def _check_content(
    content: Mapping, metric: BaseMetric, parts: Sequence[Part], own: Part | None, path: object
) -> Iterator[Finding]:
    """Check an annotation file, and what is not checked already if it is a loader's own."""
    classes = class_names(parts[0].dataset) if parts else ()
    if metric.format_only:
        return
    has_masks = 'segm' in metric.metrics
    if own is None:
        yield from check_annotations(content, classes, has_masks)
    elif has_masks and not reads(own.dataset.pipeline, 'with_mask'):
        yield from check_masks(content)
    yield from check_scored(content, labelled_names(content, classes), metric.metrics)
    yield from _check_images(content, parts, path)


def _check_number(names: Sequence[str], config: Config) -> Iterator[Finding]:
    """Whether the evaluator has a category for each label of the training set."""
    settings = (config.get(_TRAINING) or {}).get('dataset')
    built = build_parts(settings, config) if isinstance(settings, Mapping) else ()
    learned = next((part.dataset for part in built if isinstance(part, Part)), None)
    if learned is None or not has_labels(learned):
        return
    number = len(class_names(learned))
    if 0 < len(names) < number:
        detail = f'{len(names)}: {list(names)[:20]}, {number} are learned from {_TRAINING}'
        yield Finding('evaluator with fewer classes than are learned', detail)


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _check_samples(
    parts: Sequence[Part], path: str | None, keys: Sequence[str]
) -> Iterator[Finding]:
    """Whether the samples have what the metric, and the model, read of them."""
    keys = keys if path is not None else (*keys, 'instances')
    for part in parts:
        for step in steps(part.dataset.pipeline):
            missing = [key for key in keys if key not in getattr(step, 'meta_keys', keys)]
            if missing:
                truth = '' if path else '; without an ann_file it takes the truth from the samples'
                detail = f'meta_keys of {type(step).__name__} have no {", ".join(missing)}{truth}'
                yield Finding('sample without what the evaluator reads', detail)


def _check_images(content: Mapping, parts: Sequence[Part], path: object) -> Iterator[Finding]:
    """Compare the images of an evaluator with those that its loader gives."""
    if not parts or any(part.kept is None for part in parts):
        return
    given = {info.get('img_id'): info.get('img_path') for part in parts for info in part.infos}
    numbers: Counter[Hashable] = Counter()
    for part in parts:
        numbers.update({info.get('img_id'): part.times for info in part.infos})
    again = [
        f'image {i}: {given[i]}, {number} times' for i, number in numbers.items() if number > 1
    ]
    yield from _counted('image that the evaluator scores more than once', again, given, path)
    names = {image['id']: image['file_name'] for image in content['images']}
    scored = {annotation['image_id'] for annotation in content['annotations']}
    unknown = [f'image {image}: {path_}' for image, path_ in given.items() if image not in names]
    yield from _counted('image that the evaluator does not know', unknown, given, path)
    unseen = [f'image {i}: {name}' for i, name in names.items() if i in scored and i not in given]
    yield from _counted('image that the evaluator scores and no loader gives', unseen, names, path)
    others = [
        f'image {image}: {names[image]}, the loader has {given[image]}'
        for image in given
        if image in names and not _is_same_name(names[image], given[image])
    ]
    yield from _counted('image of another name in the evaluator', others, given, path)


def _counted(kind: str, found: Sequence[str], whole: Mapping, path: object) -> Iterator[Finding]:
    for each in found:
        yield Finding(kind, f'{each} ({len(found)} of {len(whole)}; {path})')


def _is_same_name(name: object, path: object) -> bool:
    """Whether both may name one image: COCO_val2014_42.jpg is 42.jpg in COCO 2017."""
    one, other = (Path(each).stem if isinstance(each, str) else '' for each in (name, path))
    return one.endswith(other) or other.endswith(one)
