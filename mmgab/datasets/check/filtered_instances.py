"""Report images and annotations that a dataset in COCO format filters out, with reasons."""

from collections.abc import Iterator, Mapping, Sequence

from mmengine.dataset import BaseDataset

from .dataset_parts import Part
from .findings import Finding, shown
from .json_values import are_numbers, is_number, is_side

ELSEWHERE = 'reported by another finding'


def skip_reason(
    annotation: Mapping, image: Mapping, names: Mapping, classes: Sequence[str]
) -> str | None:
    """Return why MMDetection's ``CocoDataset`` skips an annotation; None if it keeps it.

    Args:
        annotation: Annotation of the file.
        image: Its image entry of the file.
        names: Category names by id.
        classes: Classes of the config's dataset.

    Returns:
        A reason; :data:`ELSEWHERE` for defects that have their own finding.
    """
    if annotation.get('ignore'):
        return 'ignore is set'
    box, area, size = annotation.get('bbox'), annotation.get('area'), _size(image)
    if not are_numbers(box) or len(box) != 4 or not is_number(area) or size is None:
        return ELSEWHERE
    x, y, width, height = map(float, box)
    inside = [
        min(start + length, side) - max(start, 0)
        for start, length, side in ((x, width, size[0]), (y, height, size[1]))
    ]
    if min(inside) <= 0 or names.get(annotation['category_id']) not in classes:
        return ELSEWHERE
    if area <= 0:
        return 'area is not above 0'
    return 'bbox is smaller than a pixel' if width < 1 or height < 1 else None


def _size(image: Mapping) -> tuple[float, float] | None:
    width, height = image.get('width'), image.get('height')
    return (width, height) if is_side(width) and is_side(height) else None


def check_filtered(part: Part, content: Mapping, classes: Sequence[str]) -> Iterator[Finding]:
    """Compare the kept images, then the kept annotations, with the annotation file."""
    yield from _images(part, content, classes)
    names = {category['id']: category['name'] for category in content['categories']}
    images = {image['id']: image for image in content['images']}
    for annotation in content['annotations']:
        image = images.get(annotation['image_id'])
        if image is None or _is_kept(part.dataset, image, annotation):
            continue
        why = skip_reason(annotation, image, names, classes)
        if why != ELSEWHERE:
            why = why or f'{type(part.dataset).__name__} filters it out'
            box, area = shown(annotation['bbox']), shown(annotation['area'])
            detail = (
                f'annotation {annotation["id"]} of {image["file_name"]}: bbox {box}, area {area}'
            )
            yield Finding(f'annotation skipped, {why}', detail, is_error=False)


def _is_kept(dataset: BaseDataset, image: Mapping, annotation: Mapping) -> bool:
    """Return True if the dataset keeps the annotation, or if it cannot parse it."""
    try:
        parsed = dataset.parse_data_info(
            dict(raw_img_info=dict(image, img_id=image['id']), raw_ann_info=[annotation])
        )
    except Exception:  # custom datasets may raise any error
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
            kind = 'image filtered out by min_size'
            yield Finding(kind, f'{name}: {size}, min_size={smallest}', is_error=False)
        elif settings.get('filter_empty_gt') and image['id'] not in with_objects:
            yield Finding('image filtered out by filter_empty_gt', name, False)
        else:
            others += 1
    if others:
        indices = getattr(dataset, '_indices', None)
        why = 'the dataset' if indices is None else f'indices={shown(indices)}'
        yield Finding(
            'images filtered out', f'{others} of {len(left) + len(part.infos)}, by {why}', False
        )
    if not part.infos and content['images']:
        detail = f'{dataset.ann_file}: 0 of {len(left)} images, filter_cfg={shown(settings)}'
        yield Finding('dataset keeps no image', detail)
