"""Annotation files of instances, in COCO's layout, read as they are."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from findings import Finding
from image_checks import Looked
from pycocotools import mask as rle

_OUTSIDE = 1.0  # pixels that a box or polygon may reach beyond its image, as rounding does
_KEYS = ('images', 'annotations', 'categories')


def read_annotations(path: Path) -> tuple[dict | None, list[Finding]]:
    """Contents of an annotation file, and what is wrong with the file itself."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        return None, [Finding('annotation file cannot be read', f'{path}: {error}')]
    missing = [key for key in _KEYS if not isinstance(content.get(key), list)]
    if missing:
        return None, [
            Finding('annotation file has not the layout of COCO', f'{path}: no {missing}')
        ]
    return content, []


def check_annotations(
    content: Mapping, classes: Sequence[str], has_masks: bool = True
) -> Iterator[Finding]:
    """Ids, classes, boxes and masks; what needs no image file.

    Args:
        content: Of the annotation file.
        classes: Of the config's dataset, in order.
        has_masks: Whether training reads masks.
    """
    yield from _check_ids(content)
    yield from _check_classes(content, classes)
    for image in content['images']:
        if math.inf in _size(image):
            yield Finding('image without a size', f'{image.get("file_name")}: {image}')
    images = {image.get('id'): image for image in content['images']}
    categories = {category.get('id') for category in content['categories']}
    for annotation in content['annotations']:
        name = f'annotation {annotation.get("id")}'
        image = images.get(annotation.get('image_id'))
        if image is None:
            yield Finding('annotation of no image', f'{name}: image {annotation.get("image_id")}')
            continue
        name += f' of {image.get("file_name")}'
        if annotation.get('category_id') not in categories:
            detail = f'{name}: category {annotation.get("category_id")}'
            yield Finding('annotation of no category', detail)
        if 'area' not in annotation:
            yield Finding('annotation without area', f'{name}: training reads it')
        size = _size(image)
        yield from _check_box(annotation.get('bbox'), size, name)
        if has_masks:
            yield from _check_mask(annotation.get('segmentation'), size, name)


def check_sizes(content: Mapping, looked: Mapping[str, Looked]) -> Iterator[Finding]:
    """Sizes that annotations give, against those of the files.

    Args:
        content: Of the annotation file.
        looked: Image files by their name in it.
    """
    for image in content['images']:
        found = looked.get(image.get('file_name'))
        given = _size(image)
        if found is None or found.size is None or math.inf in given:
            continue
        if found.size != given:
            detail = f'{image["file_name"]}: {given} annotated, the file has {found.size}'
            yield Finding('image of another size', detail)


def count(content: Mapping, classes: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Numbers of images and annotations, and of every class' instances."""
    names = {category.get('id'): category.get('name') for category in content['categories']}
    of_class = Counter(names.get(a.get('category_id')) for a in content['annotations'])
    with_some = {annotation.get('image_id') for annotation in content['annotations']}
    empty = sum(image.get('id') not in with_some for image in content['images'])
    counts = dict(
        images=len(content['images']),
        annotations=len(content['annotations']),
        crowds=sum(bool(a.get('iscrowd')) for a in content['annotations']),
        **{'images without annotations': empty},
    )
    return counts, {name: of_class.get(name, 0) for name in classes}


def _check_ids(content: Mapping) -> Iterator[Finding]:
    for key, what in (('images', 'id'), ('images', 'file_name'), ('annotations', 'id'),
                      ('categories', 'id'), ('categories', 'name')):  # fmt: skip
        for value in _repeated(item.get(what) for item in content[key]):
            yield Finding(f'{what} of {key} not unique', f'{what} {value}')


def _repeated(values: Iterable) -> list:
    return [value for value, number in Counter(values).items() if number > 1]


def _check_classes(content: Mapping, classes: Sequence[str]) -> Iterator[Finding]:
    names = {category.get('id'): category.get('name') for category in content['categories']}
    for name in classes:
        if name not in names.values():
            detail = f'{name}: the file has {sorted(map(str, names.values()))[:20]}'
            yield Finding("class of the config that the file's categories do not have", detail)
    used = {names.get(annotation.get('category_id')) for annotation in content['annotations']}
    for name in sorted(map(str, set(names.values()) - set(classes))):
        if name in used:
            yield Finding('category that the config leaves out', name, is_error=False)
    for name in classes:
        if name in names.values() and name not in used:
            yield Finding('class without an instance', name, is_error=False)


def _check_box(box: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    if not _are_numbers(box) or len(box) != 4:
        yield Finding('box that is no (x, y, width, height)', f'{name}: {box}')
        return
    x, y, width, height = box
    if width <= 0 or height <= 0:
        # Training leaves such out; the real COCO has two of them.
        yield Finding('box without area', f'{name}: {box}', is_error=False)
    elif x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
        yield Finding('box outside its image', f'{name}: {box} in {size}')
    elif _reaches_out((x, y, x + width, y + height), size):
        yield Finding('box that reaches beyond its image', f'{name}: {box} in {size}')


def _check_mask(mask: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    if isinstance(mask, Mapping):
        yield from _check_run_lengths(mask, size, name)
    elif mask is not None:
        if not isinstance(mask, list) or not mask:
            yield Finding('mask without a polygon', f'{name}: {str(mask)[:80]}')
            return
        for polygon in mask:
            yield from _check_polygon(polygon, size, name)


def _check_polygon(polygon: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    if not _are_numbers(polygon) or len(polygon) < 6 or len(polygon) % 2:
        yield Finding('polygon of less than three points', f'{name}: {str(polygon)[:80]}')
        return
    x, y = polygon[::2], polygon[1::2]
    if _reaches_out((min(x), min(y), max(x), max(y)), size):
        detail = f'{name}: x {min(x)} to {max(x)}, y {min(y)} to {max(y)} in {size}'
        yield Finding('polygon that reaches beyond its image', detail)
    twice_area = sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))
    if twice_area == 0:
        yield Finding('polygon without area', f'{name}: {str(polygon)[:80]}')


def _check_run_lengths(mask: Mapping, size: tuple[float, float], name: str) -> Iterator[Finding]:
    height, width = mask.get('size', (None, None))
    if math.inf not in size and (width, height) != size:
        yield Finding('mask of another size', f'{name}: {(width, height)} in {size}')
        return
    try:
        coded = mask
        if isinstance(mask['counts'], list):
            coded = rle.frPyObjects(mask, height, width)
        area = int(rle.area(coded))
    except Exception as error:  # the coder raises nearly anything on what is no code
        yield Finding('mask that cannot be decoded', f'{name}: {error}')
        return
    if area == 0:
        yield Finding('mask without area', name)


def _size(image: Mapping) -> tuple[float, float]:
    """Width and height as annotated; infinite where they are not."""
    given = image.get('width'), image.get('height')
    is_known = all(isinstance(side, int) and side > 0 for side in given)
    return given if is_known else (math.inf, math.inf)


def _are_numbers(values: object) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, (int, float)) and math.isfinite(value) for value in values
    )


def _reaches_out(corners: tuple[float, ...], size: tuple[float, float]) -> bool:
    left, top, right, bottom = corners
    return min(left, top) < -_OUTSIDE or right > size[0] + _OUTSIDE or bottom > size[1] + _OUTSIDE
