"""Data sets of instances that load themselves: what they say of their images is checked."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from numbers import Integral

from mmgab.datasets.built_datasets import class_names
from mmgab.datasets.category_labels import label_names
from mmgab.datasets.image_file import read_regular_file

from .category_checks import check_labels
from .dataset_parts import Part
from .file_reading import Reading
from .findings import Finding, Split, shown
from .image_checks import Looked, reason
from .kept_images import check_keys, check_seg_maps, count_kept
from .split_images import add_images


def check_listed(split: Split, part: Part, reading: Reading) -> None:
    """Check the images and instances that a data set lists, whatever its files are."""
    dataset, kind = part.dataset, type(part.dataset).__name__
    split.add(_check_file(dataset.ann_file, reading))
    if split.errors:
        return
    split.add(part.load())
    if part.kept is None:
        return
    if not part.kept:
        split.add([Finding('data set of which no image is kept', f'{kind}: {dataset.ann_file}')])
    infos = [info for info in part.kept if isinstance(info, Mapping)]
    if not all(isinstance(info.get('img_path'), str) and 'instances' in info for info in infos):
        part.kept = None
        detail = f'{kind}: it does not list an image and its instances'
        split.add([Finding('data set of a kind that is not checked', detail, is_error=False)])
        return
    detail = f'{kind}: what it makes of its files is checked, the files themselves are not'
    split.add([Finding('data set that loads itself', detail, is_error=False)])
    classes = class_names(dataset)
    split.add(check_labels(label_names(dataset) or (), classes, dataset.ann_file))
    looked = reading.images([info['img_path'] for info in infos], split.name)
    add_images(split, looked, str(dataset.ann_file))
    for info, image in zip(infos, looked, strict=True):
        split.add(_check_size(info, image))
        for instance in info['instances']:
            split.add(_check_instance(instance, info, len(classes)))
    split.add(check_keys(part))
    split.add(check_seg_maps(part))
    split.count({'images': len(infos)}, {})
    count_kept(split, part, classes)


def _check_file(path: object, reading: Reading) -> Iterator[Finding]:
    """Whether an annotation file is one, and not too large: its data set would read it at once."""
    if isinstance(path, str) and path and '://' not in path and not os.path.isdir(path):
        try:
            read_regular_file(path, reading.max_annotation_bytes)
        except (OSError, ValueError) as error:
            yield Finding('annotation file cannot be read', f'{path}: {reason(error)}')


def _check_size(info: Mapping, image: Looked) -> Iterator[Finding]:
    size = info.get('width'), info.get('height')
    if None not in size and image.size is not None and tuple(image.size) != size:
        detail = f'{info["img_path"]}: {size} annotated, the file has {image.size}'
        yield Finding('image of another size', detail)


def _check_instance(instance: Mapping, info: Mapping, classes: int) -> Iterator[Finding]:
    box, label = instance.get('bbox'), instance.get('bbox_label')
    where = f'{info["img_path"]}: {shown(box)}'
    if box is not None:
        corners = _corners(box)
        if corners is None:
            yield Finding('box that is no (left, top, right, bottom)', where)
        elif corners[2] <= corners[0] or corners[3] <= corners[1]:
            yield Finding('box without area', where, is_error=False)
    if instance.get('ignore_flag') or label is None:
        return
    if not isinstance(label, Integral) or not 0 <= int(label) < classes:
        detail = f'{where}: {shown(label)}, allowed are 0 to {classes - 1}'
        yield Finding('label that is no class', detail)


def _corners(box: Iterable) -> list[float] | None:
    """Four finite numbers, of whatever a data set lists them in."""
    try:
        corners = [float(corner) for corner in box]
    except (TypeError, ValueError):
        return None
    return corners if len(corners) == 4 and all(map(math.isfinite, corners)) else None
