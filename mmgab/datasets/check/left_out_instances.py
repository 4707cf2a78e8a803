"""What a data set in COCO's layout leaves out of its file, and why."""

from collections.abc import Iterator, Mapping, Sequence

from mmengine.dataset import BaseDataset

from .dataset_parts import Part
from .findings import Finding, shown
from .json_values import are_numbers, is_number, is_side

ELSEWHERE = 'left out for what another finding says'


def why_left_out(
    annotation: Mapping, image: Mapping, names: Mapping, classes: Sequence[str]
) -> str | None:
    """Say why MMDetection's ``CocoDataset`` leaves an annotation out; None where it does not.

    Args:
        annotation: Of the file.
        image: Its image, likewise.
        names: Categories, id to name.
        classes: Of the config's dataset.

    Returns:
        A reason; :data:`ELSEWHERE` for defects that are findings of their own.
    """
    if annotation.get('ignore'):
        return 'ignore is set'
    box, area, size = annotation.get('bbox'), annotation.get('area'), _size(image)
    if not are_numbers(box) or len(box) != 4 or not is_number(area) or size is None:
        return ELSEWHERE
    x, y, width, height = map(float, box)
    inside = [
        min(start + length, whole) - max(start, 0)
        for start, length, whole in ((x, width, size[0]), (y, height, size[1]))
    ]
    if min(inside) <= 0 or names.get(annotation['category_id']) not in classes:
        return ELSEWHERE
    if area <= 0:
        return 'its area is not above 0'
    return 'its box is smaller than a pixel' if width < 1 or height < 1 else None


def _size(image: Mapping) -> tuple[float, float] | None:
    width, height = image.get('width'), image.get('height')
    return (width, height) if is_side(width) and is_side(height) else None


def check_left_out(part: Part, content: Mapping, classes: Sequence[str]) -> Iterator[Finding]:
    """Compare what a data set keeps with its file: images first, then annotations."""
    yield from _images(part, content, classes)
    names = {category['id']: category['name'] for category in content['categories']}
    images = {image['id']: image for image in content['images']}
    for annotation in content['annotations']:
        image = images.get(annotation['image_id'])
        if image is None or _is_kept(part.dataset, image, annotation):
            continue
        why = why_left_out(annotation, image, names, classes)
        if why != ELSEWHERE:
            why = why or f'{type(part.dataset).__name__} decides so'
            box, area = shown(annotation['bbox']), shown(annotation['area'])
            detail = f'annotation {annotation["id"]} of {image["file_name"]}: {box}, area {area}'
            yield Finding(f'annotation left out, as {why}', detail, is_error=False)


def _is_kept(dataset: BaseDataset, image: Mapping, annotation: Mapping) -> bool:
    """Ask the data set itself; what it cannot be asked of is a finding of the file's values."""
    try:
        parsed = dataset.parse_data_info(
            dict(raw_img_info=dict(image, img_id=image['id']), raw_ann_info=[annotation])
        )
    except Exception:  # of a data set of somebody's own, anything
        return True
    return bool(parsed['instances']) if isinstance(parsed, dict) else True


def _images(part: Part, content: Mapping, classes: Sequence[str]) -> Iterator[Finding]:
    kept = {info.get('img_id') for info in part.infos}
    left = [image for image in content['images'] if image['id'] not in kept]
    dataset = part.dataset
    settings = {} if dataset.test_mode else (dataset.filter_cfg or {})
    ids = {c['id'] for c in content['categories'] if c['name'] in classes}
    with_objects = {a['image_id'] for a in content['annotations'] if a['category_id'] in ids}
    others = 0
    for image in left:
        size, name = _size(image), f'{image["file_name"]}'
        smallest = settings.get('min_size', 0)
        if size is not None and min(size) < smallest:
            kind = 'image left out, as it is smaller than min_size'
            yield Finding(kind, f'{name}: {size}, min_size={smallest}', is_error=False)
        elif settings.get('filter_empty_gt') and image['id'] not in with_objects:
            yield Finding('image left out, as it has no object of the classes', name, False)
        else:
            others += 1
    if others:
        indices = getattr(dataset, '_indices', None)
        why = 'the filter' if indices is None else f'indices={shown(indices)}'
        yield Finding('images left out', f'{others} of {len(left) + len(part.infos)}: {why}', False)
    if not part.infos and content['images']:
        detail = f'{dataset.ann_file}: {len(left)} images, filter_cfg={shown(settings)}'
        yield Finding('data set of which no image is kept', detail)
