"""Check instance annotations in COCO format: ids, categories, sizes, boxes and masks."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .filtered_instances import skip_reason
from .findings import Finding, shown
from .image_checks import InspectedImage
from .json_values import are_numbers, is_number, is_side
from .mask_checks import check_mask, reaches_out


def check_annotations(
    content: Mapping, classes: Sequence[str], has_masks: bool = True
) -> Iterator[Finding]:
    """Check ids, categories, boxes and masks, without reading image files.

    Args:
        content: The annotation file, see :func:`annotation_file.read_annotations`.
        classes: Classes of the config's dataset, in order.
        has_masks: Whether training or the evaluator reads masks.
    """
    yield from _check_ids(content)
    yield from _check_classes(content, classes)
    yield from _check_unit(content)
    for image in content['images']:
        if math.inf in _size(image):
            found = f'width {shown(image.get("width"))}, height {shown(image.get("height"))}'
            detail = f'{image["file_name"]}: {found}, expected integers of at least 1'
            yield Finding('image without a valid width and height', detail)
    images = {image['id']: image for image in content['images']}
    names = {category['id']: category['name'] for category in content['categories']}
    for annotation in content['annotations']:
        name = f'annotation {annotation["id"]}'
        image = images.get(annotation['image_id'])
        if image is None:
            detail = f'{name}: image_id {shown(annotation["image_id"])}, no image has this id'
            yield Finding('annotation with an unknown image_id', detail)
            continue
        name += f' of {image["file_name"]}'
        yield from _check_values(annotation, names, name)
        yield from _check_box(annotation.get('bbox'), _size(image), name)
        has_none = annotation.get('segmentation') is None
        if has_masks and has_none and skip_reason(annotation, image, names, classes) is None:
            detail = f'{name}: segmentation is missing or null, masks are read from it'
            yield Finding('annotation without segmentation', detail)
    if has_masks:
        yield from check_masks(content)


def check_masks(content: Mapping) -> Iterator[Finding]:
    """Check the polygons and RLE masks of all annotations that have one."""
    images = {image['id']: image for image in content['images']}
    for annotation in content['annotations']:
        mask, image = annotation.get('segmentation'), images.get(annotation['image_id'])
        if mask is not None and image is not None:
            name = f'annotation {annotation["id"]} of {image["file_name"]}'
            yield from check_mask(mask, _size(image), name)


def check_sizes(content: Mapping, inspected: Mapping[str, InspectedImage]) -> Iterator[Finding]:
    """Compare image sizes in the annotation file with those of the image files.

    Args:
        content: The annotation file.
        inspected: Inspected image files by ``file_name``.
    """
    for image in content['images']:
        found = inspected.get(image['file_name'])
        given = _size(image)
        if found is None or found.size is None or math.inf in given:
            continue
        if found.size != given:
            detail = (
                f'{image["file_name"]}: annotated size {given}, the image file has {found.size}'
            )
            yield Finding('image size differs from the annotations', detail)


def count(content: Mapping, classes: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Count images and annotations, and the instances of every class."""
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
            yield Finding(f'{what} of {key} not unique', f'{what} {shown(value)}')


def _repeated(values: Iterable) -> list:
    return [value for value, number in Counter(values).items() if number > 1 and value is not None]


def _check_classes(content: Mapping, classes: Sequence[str]) -> Iterator[Finding]:
    names = {category['id']: category['name'] for category in content['categories']}
    for name in classes:
        if name not in names.values():
            detail = (
                f'{name}: the file has {sorted(map(str, names.values()))[:20]}, names must match'
            )
            yield Finding('class of the config is not in categories', detail)
    used = Counter(names.get(annotation['category_id']) for annotation in content['annotations'])
    for name in sorted(map(str, set(names.values()) - set(classes))):
        if name in used:
            detail = f'{name}: {used[name]} annotations are not used'
            yield Finding('category is not in the classes of the config', detail, is_error=False)
    for name in classes:
        if name in names.values() and name not in used:
            yield Finding('class without annotations', name, is_error=False)


def _check_unit(content: Mapping) -> Iterator[Finding]:
    """Report boxes in fractions of the image size: training would filter out all of them."""
    boxes = [annotation.get('bbox') for annotation in content['annotations']]
    boxes = [box for box in boxes if are_numbers(box) and len(box) == 4]
    ends = [end for x, y, width, height in boxes for end in (x + width, y + height)]
    if boxes and max(ends) <= 1 and any(0 < end < 1 for end in ends):
        detail = (
            f'all {len(boxes)} boxes are within 0 to 1, for example {boxes[0]}; COCO uses pixels'
        )
        yield Finding('bbox in fractions of the image size', detail)


def _check_values(annotation: Mapping, names: Mapping, name: str) -> Iterator[Finding]:
    category, area = annotation['category_id'], annotation.get('area')
    if category not in names:
        detail = f'{name}: category_id {shown(category)}, categories have {shown(list(names))}'
        yield Finding('annotation with an unknown category_id', detail)
    if not is_number(area):
        detail = f'{name}: area is {shown(area)}, expected a number'
        yield Finding('annotation without a numeric area', detail)
    for flag in ('iscrowd', 'ignore'):
        value = annotation.get(flag)
        if value and value != 1:
            yield Finding(f'{flag} is neither 0 nor 1', f'{name}: {shown(value)}, read as 1')


def _check_box(box: object, size: tuple[float, float], name: str) -> Iterator[Finding]:
    if not are_numbers(box) or len(box) != 4:
        detail = f'{name}: bbox is {shown(box)}, expected four numbers'
        yield Finding('bbox is not [x, y, width, height]', detail)
        return
    x, y, width, height = map(float, box)
    if width <= 0 or height <= 0:
        # Training filters them out; COCO 2017 has two of them.
        detail = f'{name}: bbox is {box}, training skips it'
        yield Finding('bbox without area', detail, is_error=False)
    elif x >= size[0] or y >= size[1] or x + width <= 0 or y + height <= 0:
        yield Finding('bbox outside the image', f'{name}: bbox {box}, image size {size}')
    elif reaches_out((x, y, x + width, y + height), size):
        yield Finding('bbox extends beyond the image', f'{name}: bbox {box}, image size {size}')


def _size(image: Mapping) -> tuple[float, float]:
    """Return the annotated width and height; infinite if they are invalid."""
    width, height = image.get('width'), image.get('height')
    if is_side(width) and is_side(height):
        return int(width), int(height)
    return math.inf, math.inf
