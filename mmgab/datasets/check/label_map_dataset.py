"""Check datasets in MMSegmentation's layout: images, label maps, file names and settings."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config

from mmgab.datasets.image_file import read_regular_file

from .file_reading import Reading
from .findings import Finding, Split
from .image_checks import InspectedImage, reason
from .image_folder import check_folder, check_suffix, shown_suffixes
from .label_map_file import LabelMap
from .label_settings import check_settings, ignored_label, label_loaders
from .segmentation_dataset import SegmentationDataset
from .semantic_checks import Labels, check_labels, missing_classes, pixels_of_classes
from .split_images import add_images, bad_names


def check_label_maps(
    split: Split, dataset: SegmentationDataset, config: Config, reading: Reading
) -> None:
    """Check a dataset of images and label maps.

    Args:
        split: Split that receives the findings.
        dataset: MMSegmentation's dataset, built from the config, files not listed yet.
        config: The complete config.
        reading: Settings for reading files.
    """
    if not dataset.metainfo.get('classes'):
        detail = f"{type(dataset).__name__}: set metainfo=dict(classes=('name', ...))"
        split.add([Finding('dataset without classes', detail)])
        return
    split.add(check_settings(config, split.name, dataset))
    if 'img_path' not in dataset.data_prefix:
        prefix = dict(dataset.data_prefix)
        detail = f"{type(dataset).__name__}: data_prefix={prefix} needs the key 'img_path'"
        split.add([Finding('dataset without data_prefix.img_path', detail)])
        return
    source = _source(dataset)
    infos = _listed(split, dataset, reading)
    images = reading.images([info['img_path'] for info in infos], split.name)
    add_images(split, images, source)
    labels = Labels(
        dataset.metainfo['classes'], bool(dataset.reduce_zero_label),
        ignored_label(config, split.name), dataset.label_map, split.name == 'train_dataloader',
    )  # fmt: skip
    paths = [info['seg_map_path'] for info in infos if info.get('seg_map_path')]
    if infos and not paths:
        detail = f"{source}: set data_prefix['seg_map_path']"
        split.add([Finding('dataset without label maps', detail, labels.is_training)])
    maps = _check_maps(split, dataset, paths, labels, reading)
    if len(maps) == len(images):
        split.add(_other_sizes(images, maps))
    split.counts.update({'images': len(images), 'label maps': len(maps)})


def _check_maps(
    split: Split,
    dataset: SegmentationDataset,
    paths: Sequence[str],
    labels: Labels,
    reading: Reading,
) -> list[LabelMap]:
    """Read and check label maps."""
    backends = dict.fromkeys(loader.backend for loader in label_loaders(dataset.pipeline))
    # Branches of a pipeline may differ; counts are those of the first one.
    for backend in reversed(backends or ['pillow']):
        maps = reading.label_maps(paths, f'{split.name}, labels', backend)
        split.add(check_labels(maps, labels))
    split.add(bad_names(paths))
    split.add(_without_partner(dataset, paths))
    pixels = pixels_of_classes(maps, labels)
    split.add(missing_classes(pixels) if maps else ())
    split.classes.update(pixels)
    return maps


def _source(dataset: SegmentationDataset) -> str:
    """Describe where a dataset looks for images, and the suffixes found there."""
    if dataset.ann_file and not os.path.isdir(dataset.ann_file):
        return str(dataset.ann_file)
    folder, suffix = dataset.data_prefix['img_path'], dataset.img_suffix
    return f'{folder}: img_suffix={suffix!r}, the folder has {shown_suffixes(folder)}'


def _listed(split: Split, dataset: SegmentationDataset, reading: Reading) -> list[dict]:
    """List the images and label maps of a dataset; report entries that it would skip."""
    folder = dataset.data_prefix['img_path']
    if dataset.ann_file and not os.path.isdir(dataset.ann_file):
        try:
            read_regular_file(dataset.ann_file, reading.max_annotation_bytes)
        except (OSError, ValueError) as error:
            detail = f'{dataset.ann_file}: {reason(error)}'
            split.add([Finding('annotation file cannot be read', detail)])
            return []
    elif folder:
        split.add(check_folder(folder, dataset.img_suffix))
        split.add(check_suffix(folder, dataset.img_suffix))
    dataset.serialize_data = False  # serializing an empty list raises an error
    dataset.full_init()
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def _other_sizes(images: Sequence[InspectedImage], maps: Sequence[LabelMap]) -> Iterator[Finding]:
    for image, labels in zip(images, maps, strict=True):
        if None not in (image.size, labels.size) and image.size != labels.size:
            is_turned = any('EXIF' in found.kind for found in image.findings)
            why = '; the EXIF orientation rotates only the image' if is_turned else ''
            detail = f'{labels.path}: {labels.size}, the image has {image.size}{why}'
            yield Finding('label map size differs from the image', detail)


def _without_partner(dataset: SegmentationDataset, expected: Sequence[str]) -> Iterator[Finding]:
    """Report images without a label map, and label maps without an image."""
    folder = dataset.data_prefix.get('seg_map_path')
    if not folder or not os.path.isdir(folder):
        return
    missing = [path for path in expected if not os.path.lexists(path)]
    if missing:
        detail = (
            f'{len(missing)} of {len(expected)} missing, for example {missing[0]}; seg_map_suffix='
            f'{dataset.seg_map_suffix!r}, the folder has {shown_suffixes(folder)}'
        )
        yield Finding('images without a label map', detail)
    if dataset.ann_file or dataset._indices is not None:  # a subset of the folder is intended
        return
    known = {os.path.realpath(path) for path in expected}
    for path in sorted(Path(folder).rglob(f'*{dataset.seg_map_suffix}')):
        if os.path.realpath(path) not in known:
            yield Finding('label map without an image', str(path), is_error=False)
