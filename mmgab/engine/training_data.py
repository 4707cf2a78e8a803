"""Checks of built data sets before the first step: classes, something to learn, evaluators."""

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice

from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.runner import BaseLoop

from mmgab.datasets.built_datasets import (
    class_names,
    class_problem,
    described,
    has_a_target,
    infos,
    leaves,
)
from mmgab.datasets.category_labels import categories_of, label_names, misplaced
from mmgab.datasets.scored_annotations import keys_read, scores_as_coco, unscorable
from mmgab.log import log

_EXAMPLES = 3  # ids or labels in a message


def check_classes(dataset: object) -> None:
    """Check the classes of a data set, of whatever wrappers it is in.

    Raises:
        ValueError: If they are a text or have no order, or a file has a category of none of them.
    """
    for leaf in leaves(dataset):
        classes = class_names(leaf)
        problem = class_problem(leaf)
        if problem is not None:
            raise ValueError(f'{described(leaf)}: {problem}')
        keeps_none = getattr(leaf, 'cat_ids', None) == []
        unknown = _categories(getattr(leaf, 'ann_file', '')) if keeps_none else []
        if classes and unknown:
            raise ValueError(
                f'{described(leaf)}: none of the {len(classes)} classes {_some(classes)} is a '
                f'category of that file, which has {_some(unknown)}: names must match exactly'
            )


def _categories(file: str) -> list[str]:
    """Names in a local annotation file; none where it cannot be read again."""
    try:
        return list(categories_of(file).values())
    except (OSError, ValueError, KeyError, TypeError):
        return []


def check_targets(dataset: object) -> None:
    """Check that a training set has at least one instance that reaches the loss.

    No image is opened. Where data sets do not list instances, they are taken to have something.

    Raises:
        ValueError: If there is none; the message lists the datasets checked.
    """
    parts = list(leaves(dataset))
    for part in parts:
        images = infos(part)
        if images is None or any(map(has_a_target, images)):
            return
    sized = (part for part in parts if isinstance(part, Sized))
    names = ', '.join(f'{described(part)} with {len(part)} images' for part in sized)
    raise ValueError(
        f'{names}: there is nothing to learn, no instance reaches the loss. The dataset skips '
        'instances of other categories, outside their image, smaller than a pixel, with area <= 0 '
        'or ignore, and crowds. tools/misc/check_dataset.py lists the skipped instances'
    )


def check_evaluation(loop: BaseLoop, training_set: object | None) -> None:
    """Check that a loop's evaluator belongs to its data set and to what the network learns.

    Args:
        loop: A built validation or test loop; one without an evaluator has nothing to check.
        training_set: What the network learns its labels from; None where it is not known.

    Raises:
        ValueError: See :func:`check_images`, :func:`check_scored` and :func:`check_labels`.
    """
    evaluator = getattr(loop, 'evaluator', None)
    if evaluator is None:
        return
    check_images(evaluator, loop.dataloader.dataset)
    check_scored(evaluator)
    check_labels(training_set, evaluator, loop.dataloader.dataset)


def check_labels(training_set: object | None, evaluator: Evaluator, dataset: object) -> None:
    """Check that the evaluator numbers categories as the training set does.

    Args:
        training_set: What the network learns its labels from; None where it is not known.
        evaluator: What takes its predictions; metrics with an annotation file have labels of
            their own.
        dataset: The one that is evaluated; its labels are those of the other metrics.

    Raises:
        ValueError: If a label is one category there and another one, or none, here.
    """
    learned = [] if training_set is None else list(_learned_names(training_set))
    evaluated = list(_evaluated_names(evaluator, dataset))
    for source, names, _ in learned:
        for other, other_names, _ in evaluated:
            for label, instead in misplaced(names, other_names).items():
                raise ValueError(
                    f'label {label} is {names[label]!r} in {source} and {instead!r} in {other}: '
                    'MMDetection numbers classes in the order of "categories" in each file, which '
                    'must be the same in all of them'
                )
    _check_numbers(learned, evaluator)
    # The same everywhere, so that scores are right; but predictions are drawn by other names.
    for source, names, classes in islice(learned or evaluated, 1):
        for label, instead in islice(misplaced(names, classes).items(), 1):
            log(
                f'{source}: label {label} is {names[label]!r}, as categories are numbered in the '
                f'order of that file, but class {label} of the config is {instead!r}: predictions '
                'will have wrong names',
                logging.WARNING,
            )


def _check_numbers(learned: Sequence[tuple], evaluator: Evaluator) -> None:
    """Check that metrics, which look up the category of each label, know all that are learned."""
    for metric in evaluator.metrics:
        number = len(_scored_names(metric)) if scores_as_coco(type(metric)) else 0
        for source, names, _ in learned:
            if 0 < number < len(names):
                raise ValueError(
                    f'{type(metric).__name__} scores {number} classes, {len(names)} are learned '
                    f'from {source}: it fails at the first prediction of label {number}. Validate '
                    'with the classes of training'
                )


def _learned_names(dataset: object) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """Source, names by label and classes of each data set that takes labels from a file."""
    for leaf in leaves(dataset):
        names = label_names(leaf)
        if names is not None:
            yield described(leaf), names, class_names(leaf)


def _evaluated_names(
    evaluator: Evaluator, dataset: object
) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """The same of each metric, which takes labels from its own file or from its data set."""
    for metric in evaluator.metrics:
        coco = getattr(metric, '_coco_api', None)
        if coco is None:
            yield from _learned_names(dataset)
        else:
            source = f'the ann_file of {type(metric).__name__}'
            yield source, _scored_names(metric), _classes_of(metric)


def _scored_names(metric: BaseMetric) -> Sequence[str]:
    """Names by label of MMDetection's ``CocoMetric``, of its file or its data set."""
    classes, coco = _classes_of(metric), metric._coco_api
    if coco is None:
        return classes
    return [coco.cats[i]['name'] for i in coco.get_cat_ids(cat_names=classes)]


def check_images(evaluator: Evaluator, dataset: Sized) -> None:
    """Check that metrics with an annotation file have the images that their loader gives.

    No image is opened.

    Raises:
        ValueError: If one does not know an image, which would fail after the last one, or if an
            image is given twice, whose objects would be found twice.
    """
    metrics = [
        each
        for each in evaluator.metrics
        if getattr(each, '_coco_api', None) is not None and not getattr(each, 'format_only', False)
    ]
    # Of MMDetection's evaluator of several data sets, a metric has a part of the images.
    if type(evaluator) is not Evaluator or not metrics:
        return
    given = _image_ids(dataset)
    if given is None:
        return
    for metric in metrics:
        images, objects = metric._coco_api.imgs, metric._coco_api.imgToAnns
        name, source = type(metric).__name__, ', '.join(map(described, leaves(dataset)))
        unknown = [image for image in given if image not in images]
        if unknown:
            raise ValueError(
                f'{name}: {len(unknown)} of {len(given)} image ids of the data set {source} are '
                f'not in its ann_file: {_some(unknown)}; it has {_some(images)}. Both must be the '
                'same images'
            )
        if len(dataset) > len(given):
            raise ValueError(
                f'{name}: the data set {source} gives {len(dataset)} images with {len(given)} '
                'different ids. Duplicates count as false positives: evaluate each image once'
            )
        unseen = [image for image in images if image not in given and objects.get(image)]
        if unseen:
            log(
                f'{name}: {len(unseen)} of {len(images)} images with objects in its ann_file are '
                f'not in the data set {source}: {_some(unseen)}. Their objects count as missed',
                logging.WARNING,
            )


def check_scored(evaluator: Evaluator) -> None:
    """Check that annotations have what COCO's evaluation reads of them.

    Raises:
        ValueError: If one has not: the evaluation would fail after the last image.
    """
    for metric in evaluator.metrics:
        coco = getattr(metric, '_coco_api', None)
        if coco is None or not scores_as_coco(type(metric)) or metric.format_only:
            continue
        ids = set(coco.get_cat_ids(cat_names=_classes_of(metric)))
        scored = (each for each in coco.anns.values() if each['category_id'] in ids)
        found = list(unscorable(scored, coco.imgs, keys_read(metric.metrics)))
        for problem in sorted(found, key=lambda each: not each.stops)[:1]:
            number = sum(each.kind == problem.kind for each in found)
            message = f'{type(metric).__name__}: {number} x {problem.kind}: {problem.detail}'
            if problem.stops:
                raise ValueError(message)
            log(message, logging.WARNING)


def _classes_of(metric: BaseMetric) -> Sequence[str]:
    """Classes that a metric has from its data set."""
    meta = metric.dataset_meta
    return (meta.get('classes') or ()) if isinstance(meta, Mapping) else ()


def _image_ids(dataset: object) -> dict[Hashable, None] | None:
    """Ids of all images, in order; None where a data set does not say them."""
    ids: dict[Hashable, None] = {}
    for leaf in leaves(dataset):
        images = infos(leaf)
        if images is None:
            return None
        for info in images:
            if 'img_id' not in info:
                return None
            ids[info['img_id']] = None
    return ids


def _some(values: Iterable) -> str:
    values = list(values)
    text = ', '.join(map(repr, values[:_EXAMPLES]))
    return f'{text}, ...' if len(values) > _EXAMPLES else text
