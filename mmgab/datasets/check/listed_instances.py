"""Check the loaded data infos of instance datasets with custom annotation formats."""

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
from .image_checks import InspectedImage, reason
from .kept_images import check_keys, check_seg_maps, count_kept
from .split_images import add_images


def check_listed(split: Split, part: Part, reading: Reading) -> None:
    """Check the images and instances that a dataset lists, for any annotation format."""
    dataset, kind = part.dataset, type(part.dataset).__name__
    split.add(_check_file(dataset.ann_file, reading))
    if split.errors:
        return
    split.add(part.load())
    if part.kept is None:
        return
    if not part.kept:
        split.add([Finding('dataset keeps no image', f'{kind}: {dataset.ann_file}')])
    infos = [info for info in part.kept if isinstance(info, Mapping)]
    if not all(isinstance(info.get('img_path'), str) and 'instances' in info for info in infos):
        part.kept = None
        detail = f"{kind}: each data info needs 'img_path' and 'instances'"
        split.add([Finding('dataset type is not checked', detail, is_error=False)])
        return
    detail = f'{kind}: only the loaded images, boxes and labels are checked'
    split.add(
        [Finding('annotation files of this dataset type are not checked', detail, is_error=False)]
    )
    classes = class_names(dataset)
    split.add(check_labels(label_names(dataset) or (), classes, dataset.ann_file))
    inspected = reading.images([info['img_path'] for info in infos], split.name)
    add_images(split, inspected, str(dataset.ann_file))
    for info, image in zip(infos, inspected, strict=True):
        split.add(_check_size(info, image))
        for instance in info['instances']:
            split.add(_check_instance(instance, info, len(classes)))
    split.add(check_keys(part))
    split.add(check_seg_maps(part))
    split.count({'images': len(infos)}, {})
    count_kept(split, part, classes)


def _check_file(path: object, reading: Reading) -> Iterator[Finding]:
    """Check that an annotation file is a regular file within the size limit."""
    if isinstance(path, str) and path and '://' not in path and not os.path.isdir(path):
        try:
            read_regular_file(path, reading.max_annotation_bytes)
        except (OSError, ValueError) as error:
            yield Finding('annotation file cannot be read', f'{path}: {reason(error)}')


def _check_size(info: Mapping, image: InspectedImage) -> Iterator[Finding]:
    size = info.get('width'), info.get('height')
    if None not in size and image.size is not None and tuple(image.size) != size:
        detail = f'{info["img_path"]}: annotated size {size}, the image file has {image.size}'
        yield Finding('image size differs from the annotations', detail)


def _check_instance(instance: Mapping, info: Mapping, classes: int) -> Iterator[Finding]:
    box, label = instance.get('bbox'), instance.get('bbox_label')
    where = f'{info["img_path"]}: bbox {shown(box)}'
    if box is not None:
        corners = _corners(box)
        if corners is None:
            yield Finding('bbox is not [x1, y1, x2, y2]', where)
        elif corners[2] <= corners[0] or corners[3] <= corners[1]:
            yield Finding('bbox without area', where, is_error=False)
    if instance.get('ignore_flag') or label is None:
        return
    if not isinstance(label, Integral) or not 0 <= int(label) < classes:
        detail = f'{where} has bbox_label {shown(label)}, allowed are 0 to {classes - 1}'
        yield Finding('label is not a class', detail)


def _corners(box: Iterable) -> list[float] | None:
    """Return four finite numbers from any iterable; None if they are not."""
    try:
        corners = [float(corner) for corner in box]
    except (TypeError, ValueError):
        return None
    return corners if len(corners) == 4 and all(map(math.isfinite, corners)) else None
