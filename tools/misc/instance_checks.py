"""Annotations of instances in COCO's layout: ids, classes, sizes, boxes and masks."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from findings import Finding, shown
from image_checks import Looked
from json_values import are_numbers, is_number, is_side
from mask_checks import check_mask, reaches_out


def check_annotations(
    content: Mapping, classes: Sequence[str], has_masks: bool = True
) -> Iterator[Finding]:
    """Ids, classes, boxes and masks; what needs no image file.

    Args:
        content: Of the annotation file, see :func:`annotation_file.read_annotations`.
        classes: Of the config's dataset, in order.
        has_masks: Whether training reads masks.
    """
    yield from _check_ids(content)
    yield from _check_classes(content, classes)
    for image in content['images']:
        if math.inf in _size(image):
            yield Finding('image without a size', f'{image["file_name"]}: {shown(image)}')
    images = {image['id']: image for image in content['images']}
    names = {category['id']: category['name'] for category in content['categories']}
    for annotation in content['annotations']:
        name = f'annotation {annotation["id"]}'
        image = images.get(annotation['image_id'])
        if image is None:
            yield Finding('annotation of no image', f'{name}: image {annotation["image_id"]}')
            continue
        name += f' of {image["file_name"]}'
        yield from _check_values(annotation, names, name)
        size = _size(image)
        yield from _check_box(annotation.get('bbox'), size, name)
        mask = annotation.get('segmentation')
        if has_masks and mask is not None:
            yield from check_mask(mask, size, name)
        elif has_masks and _is_trained(annotation, names, classes):
            yield Finding('annotation without a mask', f'{name}: training reads it')


def check_sizes(content: Mapping, looked: Mapping[str, Looked]) -> Iterator[Finding]:
    """Sizes that annotations give, against those of the files.

    Args:
        content: Of the annotation file.
        looked: Image files by their name in it.
    """
    for image in content['images']:
        found = looked.get(image['file_name'])
        given = _size(image)
        if found is None or found.size is None or math.inf in given:
            continue
        if found.size != given:
            detail = f'{image["file_name"]}: {given} annotated, the file has {found.size}'
            yield Finding('image of another size', detail)


def count(content: Mapping, classes: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Numbers of images and annotations, and of every class' instances."""
    names = {category['id']: category['name'] for category in content['categories']}
    of_class = Counter(names.get(a['category_id']) for a in content['annotations'])
    with_some = {annotation['image_id'] for annotation in content['annotations']}
    empty = sum(image['id'] not in with_some for image in content['images'])
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
        for value in _repeated(item[what] for item in content[key]):
            yield Finding(f'{what} of {key} not unique', f'{what} {value}')


def _repeated(values: Iterable) -> list:
    return [value for value, number in Counter(values).items() if number > 1 and value is not None]


def _check_classes(content: Mapping, classes: Sequence[str]) -> Iterator[Finding]:
    names = {category['id']: category['name'] for category in content['categories']}
    for name in classes:
        if name not in names.values():
            detail = f'{name}: the file has {sorted(map(str, names.values()))[:20]}'
            yield Finding("class of the config that the file's categories do not have", detail)
    used = {names.get(annotation['category_id']) for annotation in content['annotations']}
    for name in sorted(map(str, set(names.values()) - set(classes))):
        if name in used:
            yield Finding('category that the config leaves out', name, is_error=False)
    for name in classes:
        if name in names.values() and name not in used:
            yield Finding('class without an instance', name, is_error=False)


def _check_values(annotation: Mapping, names: Mapping, name: str) -> Iterator[Finding]:
    category, area = annotation['category_id'], annotation.get('area')
    if category not in names:
        yield Finding('annotation of no category', f'{name}: category {category}')
    if not is_number(area):
        yield Finding('annotation without area', f'{name}: {shown(area)}; training reads it')
    for flag in ('iscrowd', 'ignore'):
        value = annotation.get(flag)
        if value and value != 1:
            yield Finding(f'{flag} that is neither 0 nor 1', f'{name}: {shown(value)} counts as 1')


def _is_trained(annotation: Mapping, names: Mapping, classes: Sequence[str]) -> bool:
    return names.get(annotation['category_id']) in classes and not annotation.get('ignore')


def _check_box(box: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    if not are_numbers(box) or len(box) != 4:
        yield Finding('box that is no (x, y, width, height)', f'{name}: {shown(box)}')
        return
    x, y, width, height = map(float, box)
    if width <= 0 or height <= 0:
        # Training leaves such out; the real COCO has two of them.
        yield Finding('box without area', f'{name}: {box}', is_error=False)
    elif x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
        yield Finding('box outside its image', f'{name}: {box} in {size}')
    elif reaches_out((x, y, x + width, y + height), size):
        yield Finding('box that reaches beyond its image', f'{name}: {box} in {size}')


def _size(image: Mapping) -> tuple[float, float]:
    """Width and height as annotated; infinite where they are not."""
    given = image.get('width'), image.get('height')
    is_known = all(type(side) is int and is_side(side) for side in given)
    return given if is_known else (math.inf, math.inf)
