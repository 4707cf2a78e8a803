"""Check that a training pipeline loads annotations before geometric transforms."""

from collections.abc import Iterator

from mmcv.transforms import LoadAnnotations
from mmengine.dataset import Compose

from .findings import Finding
from .pipelines import all_known, steps

# Transforms (and subclasses) that change boxes and masks together with the image.
_MOVING = {
    'CenterCrop', 'Expand', 'GeomTransform', 'MinIoURandomCrop', 'RandomAffine',
    'RandomCenterCropPad', 'RandomChoiceResize', 'RandomCrop', 'RandomFlip', 'RandomResize',
    'RandomRotFlip', 'RandomRotate', 'RandomShift', 'Resize', 'ResizeShortestEdge',
    'ResizeToMultiple',
}  # fmt: skip


def check_order(pipeline: Compose) -> Iterator[Finding]:
    """Report geometric transforms that come before ``LoadAnnotations``.

    Args:
        pipeline: Built pipeline of a training set.
    """
    if not all_known(pipeline):
        return
    before: list[str] = []
    for step in steps(pipeline):
        if isinstance(step, LoadAnnotations):
            for name in before:
                detail = (
                    f'{name} comes before {type(step).__name__}: it changes the image, but not '
                )
                detail += 'boxes, masks and label maps. Load them first'
                yield Finding('transform comes before LoadAnnotations', detail)
            return
        if any(base.__name__ in _MOVING for base in type(step).__mro__):
            before.append(type(step).__name__)
