"""Annotations of instances in COCO's layout: ids, classes, sizes, boxes and masks."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .findings import Finding, shown
from .image_checks import Looked
from .json_values import are_numbers, is_number, is_side
from .left_out_instances import why_left_out
from .mask_checks import check_mask, reaches_out


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
    yield from _check_unit(content)
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
        yield from _check_box(annotation.get('bbox'), _size(image), name)
        has_none = annotation.get('segmentation') is None
        if has_masks and has_none and why_left_out(annotation, image, names, classes) is None:
            yield Finding('annotation without a mask', f'{name}: training reads it')
    if has_masks:
        yield from check_masks(content)


def check_masks(content: Mapping) -> Iterator[Finding]:
    """Polygons and run lengths of all annotations that have some."""
    images = {image['id']: image for image in content['images']}
    for annotation in content['annotations']:
        mask, image = annotation.get('segmentation'), images.get(annotation['image_id'])
        if mask is not None and image is not None:
            name = f'annotation {annotation["id"]} of {image["file_name"]}'
            yield from check_mask(mask, _size(image), name)


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
    used = Counter(names.get(annotation['category_id']) for annotation in content['annotations'])
    for name in sorted(map(str, set(names.values()) - set(classes))):
        if name in used:
            detail = f'{name}: {used[name]} annotations'
            yield Finding('category that the config leaves out', detail, is_error=False)
    for name in classes:
        if name in names.values() and name not in used:
            yield Finding('class without an instance', name, is_error=False)


def _check_unit(content: Mapping) -> Iterator[Finding]:
    """Note boxes that are fractions of their image: training would leave out all of them."""
    boxes = [annotation.get('bbox') for annotation in content['annotations']]
    boxes = [box for box in boxes if are_numbers(box) and len(box) == 4]
    ends = [end for x, y, width, height in boxes for end in (x + width, y + height)]
    if boxes and max(ends) <= 1 and any(0 < end < 1 for end in ends):
        detail = f'all {len(boxes)} are within 0 to 1, {boxes[0]} for example; COCO has pixels'
        yield Finding('boxes as fractions of the image', detail)


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
    width, height = image.get('width'), image.get('height')
    if is_side(width) and is_side(height):
        return int(width), int(height)
    return math.inf, math.inf
