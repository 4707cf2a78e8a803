"""Check that the annotation file of an evaluator matches its loader and can be scored."""

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
from .findings import Finding, in_file
from .image_checks import reason
from .instance_checks import check_annotations, check_masks
from .pipelines import reads, steps
from .scored_content import check_scored

_RESULT_KEYS = ('img_id', 'ori_shape')  # keys of a sample that CocoMetric reads
_TRAINING = 'train_dataloader'


def check_evaluator(
    config: Config, name: str, parts: Sequence[Part], reading: Reading
) -> Iterator[Finding]:
    """Check an evaluator against the datasets of its loader.

    Args:
        config: The complete config.
        name: Name of the evaluator.
        parts: Datasets of the loader.
        reading: Settings for reading files.
    """
    if any(class_problem(part.dataset) for part in parts):
        return
    scope = config.get('default_scope')
    for metric in _metrics(config.get(name) or []):
        kind = type_of(metric, METRICS, scope) if isinstance(metric, Mapping) else type(metric)
        if scores_as_coco(kind):
            for found in _check_coco(metric, parts, reading, config):
                yield Finding(found.kind, f'{name}: {found.detail}', found.is_error)
        elif any(part.kept is not None and _lists_instances(part) for part in parts):
            called = type_name(metric) if isinstance(metric, Mapping) else type(metric).__name__
            detail = f'{name}: {called}; only CocoMetric and its subclasses are checked'
            yield Finding('evaluator type is not checked', detail, is_error=False)


def _metrics(settings: Mapping | Sequence) -> Sequence:
    """Return the settings of an evaluator's metrics, in any form that MMEngine accepts."""
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
    except Exception as error:  # a config may contain anything
        yield Finding('evaluator cannot be built', reason(error))
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
    """Check an annotation file; skip checks already made if the loader reads the same file."""
    classes = class_names(parts[0].dataset) if parts else ()
    if metric.format_only:
        return
    has_masks = 'segm' in metric.metrics
    if own is None:
        yield from in_file(check_annotations(content, classes, has_masks), path)
    elif has_masks and not reads(own.dataset.pipeline, 'with_mask'):
        yield from in_file(check_masks(content), path)
    scored = check_scored(content, labelled_names(content, classes), metric.metrics)
    yield from in_file(scored, path)
    yield from _check_images(content, parts, path)


def _check_number(names: Sequence[str], config: Config) -> Iterator[Finding]:
    """Check that the evaluator has a category for each label of the training set."""
    settings = (config.get(_TRAINING) or {}).get('dataset')
    built = build_parts(settings, config) if isinstance(settings, Mapping) else ()
    learned = next((part.dataset for part in built if isinstance(part, Part)), None)
    if learned is None or not has_labels(learned):
        return
    number = len(class_names(learned))
    if 0 < len(names) < number:
        detail = f'{len(names)} classes {list(names)[:20]}, {_TRAINING} has {number}'
        yield Finding('evaluator has fewer classes than the training dataset', detail)


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _check_samples(
    parts: Sequence[Part], path: str | None, keys: Sequence[str]
) -> Iterator[Finding]:
    """Check that ``meta_keys`` contain the keys that the metric and the model read."""
    keys = keys if path is not None else (*keys, 'instances')
    for part in parts:
        for step in steps(part.dataset.pipeline):
            missing = [key for key in keys if key not in getattr(step, 'meta_keys', keys)]
            if missing:
                why = '' if path else '; without ann_file, samples must contain the ground truth'
                detail = f'add {", ".join(missing)} to meta_keys of {type(step).__name__}{why}'
                yield Finding('sample lacks a key that the evaluator reads', detail)


def _check_images(content: Mapping, parts: Sequence[Part], path: object) -> Iterator[Finding]:
    """Compare the images in the ``ann_file`` of an evaluator with those of its loader."""
    if not parts or any(part.kept is None for part in parts):
        return
    given = {info.get('img_id'): info.get('img_path') for part in parts for info in part.infos}
    numbers: Counter[Hashable] = Counter()
    for part in parts:
        numbers.update({info.get('img_id'): part.times for info in part.infos})
    again = [
        f'image id {i}: {given[i]}, {number} times' for i, number in numbers.items() if number > 1
    ]
    yield from _counted('image is evaluated more than once', again, given, path)
    names = {image['id']: image['file_name'] for image in content['images']}
    scored = {annotation['image_id'] for annotation in content['annotations']}
    unknown = [f'image id {image}: {path_}' for image, path_ in given.items() if image not in names]
    yield from _counted('image id is not in the ann_file of the evaluator', unknown, given, path)
    unseen = [
        f'image id {i}: {name}' for i, name in names.items() if i in scored and i not in given
    ]
    yield from _counted(
        'annotated image of the evaluator is not in the dataset', unseen, names, path
    )
    others = [
        f'image id {image}: {names[image]}, the dataset has {given[image]}'
        for image in given
        if image in names and not _is_same_name(names[image], given[image])
    ]
    yield from _counted('image id has another file name in the ann_file', others, given, path)


def _counted(kind: str, found: Sequence[str], images: Mapping, path: object) -> Iterator[Finding]:
    for each in found:
        yield Finding(kind, f'{each} ({len(found)} of {len(images)} images; {path})')


def _is_same_name(name: object, path: object) -> bool:
    """Return True if two names may be the same image: COCO_val2014_42.jpg is 42.jpg in 2017."""
    one, other = (Path(each).stem if isinstance(each, str) else '' for each in (name, path))
    return one.endswith(other) or other.endswith(one)
