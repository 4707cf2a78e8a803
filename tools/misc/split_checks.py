"""The data sets of a loader, each checked by its layout; an exception is a finding as well."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from annotation_file import read_annotations
from findings import Finding, Split
from image_checks import Decoder, Looked, reason
from image_folder import check_folder
from instance_checks import check_annotations, check_sizes, count
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS
from reading import Reading
from semantic_checks import (
    LabelMap,
    check_labels,
    missing_classes,
    pixels_of_classes,
    renamed,
)

from mmgab.datasets.image_file import read_regular_file
from mmgab.engine.preflight import leaf_datasets


def check_loader(config: Config, name: str, reading: Reading) -> Split:
    """Check the data sets of a loader, whatever wraps them."""
    split = Split(name)
    for settings in leaf_datasets(config[name].dataset):
        try:
            dataset = DATASETS.build({**settings, 'pipeline': [], 'lazy_init': True})
            decoder = _decoder(settings.get('pipeline'))
        except Exception as error:  # a config may hold anything
            detail = f'{settings.get("type")}: {reason(error)}'
            split.add([Finding('data set that cannot be built', detail)])
            continue
        try:
            _check(split, dataset, settings.get('pipeline'), replace(reading, decoder=decoder))
        except Exception as error:  # and so may files
            detail = f'{settings.get("type")}: {error}'
            split.add([Finding('data set that cannot be checked', detail)])
    return split


def check_leaks(split: Split, others: Sequence[Split]) -> None:
    """Note images that a split shares with the training set."""
    for other in others:
        by_digest = {digest: path for path, digest in other.hashes.items()}
        for path, digest in split.hashes.items():
            if digest in by_digest:
                detail = f'{path} is {by_digest[digest]} of {other.name}'
                split.add([Finding('image of the training set', detail)])


def _check(split: Split, dataset: object, pipeline: object, reading: Reading) -> None:
    if str(dataset.ann_file).endswith('.json'):
        _check_instances(split, dataset, _reads_masks(pipeline), reading)
    elif hasattr(dataset, 'reduce_zero_label'):
        _check_semantics(split, dataset, reading)
    else:
        kind = type(dataset).__name__
        split.add([Finding('data set of a kind that is not checked', kind, is_error=False)])


def _check_instances(split: Split, dataset: object, has_masks: bool, reading: Reading) -> None:
    """Check a data set in COCO's layout."""
    content, findings = read_annotations(Path(dataset.ann_file), reading.max_annotation_bytes)
    split.add(findings)
    if content is None:
        return
    classes = dataset.metainfo['classes']
    folder = dataset.data_prefix.get('img', '')
    names = [image['file_name'] for image in content['images'] if image['file_name'] is not None]
    paths = [str(Path(folder, name)) for name in names]
    looked = dict(zip(names, reading.images(paths, split.name), strict=True))
    _add_images(split, looked.values(), dataset.ann_file)
    split.add(check_annotations(content, classes, has_masks))
    split.add(check_sizes(content, looked))
    counts, of_class = count(content, classes)
    split.counts.update(counts)
    split.classes.update(of_class)


def _check_semantics(split: Split, dataset: object, reading: Reading) -> None:
    """Check a data set of images and label maps."""
    infos = _listed(split, dataset, reading)
    images = reading.images([info['img_path'] for info in infos], split.name)
    _add_images(split, images, dataset.data_prefix.get('img_path'))
    labelled = [info['seg_map_path'] for info in infos if info.get('seg_map_path')]
    maps = reading.label_maps(labelled, f'{split.name}, labels')
    split.add(_bad_names(labelled))
    classes = dataset.metainfo['classes']
    settings = (len(classes), bool(dataset.reduce_zero_label), dataset.ignore_index)
    maps = [renamed(found, dataset.label_map, int(settings[1])) for found in maps]
    split.add(check_labels(maps, *settings))
    if len(maps) == len(images):
        split.add(_other_sizes(images, maps))
    pixels = pixels_of_classes(maps, classes, settings[1])
    split.add(missing_classes(pixels))
    split.counts.update({'images': len(images), 'label maps': len(maps)})
    split.classes.update(pixels)


def _listed(split: Split, dataset: object, reading: Reading) -> list[dict]:
    """Images and label maps of a data set in MMSegmentation's layout."""
    folder = dataset.data_prefix.get('img_path')
    if dataset.ann_file and not os.path.isdir(dataset.ann_file):
        try:
            read_regular_file(dataset.ann_file, reading.max_annotation_bytes)
        except (OSError, ValueError) as error:
            detail = f'{dataset.ann_file}: {reason(error)}'
            split.add([Finding('annotation file cannot be read', detail)])
            return []
    elif folder:
        split.add(check_folder(folder, dataset.img_suffix))
    dataset.serialize_data = False  # of nothing it raises an error
    dataset.full_init()
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def _add_images(split: Split, images: Iterable[Looked], source: str) -> None:
    """Note which images cannot be read, and which are twice in a split."""
    images = list(images)
    split.add(_bad_names(image.path for image in images))
    if not images:
        split.add([Finding('data set without an image', str(source))])
    by_digest: dict[str, str] = {}
    for image in images:
        if image.problem is not None:
            split.add([Finding('image that cannot be read', f'{image.path}: {image.problem}')])
        if not image.digest:
            continue
        split.hashes[image.path] = image.digest
        first = by_digest.setdefault(image.digest, image.path)
        if first != image.path:
            split.add([Finding('image that is there twice', f'{image.path} is {first}', False)])


def _bad_names(paths: Iterable[str]) -> Iterator[Finding]:
    """Note names that logs and results cannot hold."""
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            yield Finding('file name that is not valid UTF-8', path)


def _other_sizes(images: Sequence[Looked], maps: Sequence[LabelMap]) -> Iterator[Finding]:
    for image, labels in zip(images, maps, strict=True):
        if None not in (image.size, labels.size) and image.size != labels.size:
            detail = f'{labels.path}: {labels.size}, the image has {image.size}'
            yield Finding('label map of another size', detail)


def _reads_masks(steps: object) -> bool:
    """Whether a transform of a pipeline, or one within it, reads masks."""
    if isinstance(steps, (list, tuple)):
        return any(map(_reads_masks, steps))
    if isinstance(steps, Mapping):
        return bool(steps.get('with_mask')) or _reads_masks(steps.get('transforms'))
    return bool(getattr(steps, 'with_mask', False))


def _decoder(pipeline: Sequence | None) -> Decoder | None:
    """How a pipeline decodes images, if MMCV's loader does it, and is the first step."""
    first = pipeline[0] if pipeline else dict(type='LoadImageFromFile')
    loader = TRANSFORMS.build(first) if isinstance(first, Mapping) else first
    if isinstance(loader, LoadImageFromFile):
        return Decoder(loader.imdecode_backend, loader.color_type)
    return None
