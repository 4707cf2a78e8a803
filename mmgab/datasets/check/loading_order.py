"""The order of a training pipeline: annotations are loaded before the image is moved or scaled."""

from collections.abc import Iterator

from mmcv.transforms import LoadAnnotations
from mmengine.dataset import Compose

from .findings import Finding
from .pipelines import all_known, steps

# Transforms, and those derived from them, that take boxes and masks along with the image.
_MOVING = {
    'CenterCrop', 'Expand', 'GeomTransform', 'MinIoURandomCrop', 'RandomAffine',
    'RandomCenterCropPad', 'RandomChoiceResize', 'RandomCrop', 'RandomFlip', 'RandomResize',
    'RandomRotFlip', 'RandomRotate', 'RandomShift', 'Resize', 'ResizeShortestEdge',
    'ResizeToMultiple',
}  # fmt: skip


def check_order(pipeline: Compose) -> Iterator[Finding]:
    """Note transforms that come before the annotations, which would stay as they are in the file.

    Args:
        pipeline: Of a training set, built.
    """
    if not all_known(pipeline):
        return
    before: list[str] = []
    for step in steps(pipeline):
        if isinstance(step, LoadAnnotations):
            for name in before:
                detail = f'{name} is before {type(step).__name__}: boxes, masks and label maps '
                detail += 'are as in the file, the image is not. Load them first'
                yield Finding('transform before the annotations are loaded', detail)
            return
        if any(base.__name__ in _MOVING for base in type(step).__mro__):
            before.append(type(step).__name__)
