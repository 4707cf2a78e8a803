"""Inspect transforms of a pipeline, nested ones included."""

from collections.abc import Callable, Iterator, Mapping

from mmcv.transforms import BaseTransform, RandomApply, RandomChoice
from mmengine.dataset import Compose

_PACKAGES = ('mmcv', 'mmdet', 'mmseg', 'mmgab', 'mmpretrain', 'mmengine')


def steps(pipeline: object) -> Iterator[object]:
    """Yield all transforms of a built pipeline, also those that are arguments of others."""
    if isinstance(pipeline, (list, tuple)):
        for each in pipeline:
            yield from steps(each)
    elif isinstance(pipeline, Mapping):
        yield from steps(list(pipeline.values()))
    elif isinstance(pipeline, (BaseTransform, Compose)):
        yield pipeline
        yield from steps(vars(pipeline))


def all_known(pipeline: Compose) -> bool:
    """Return True if all transforms of a built pipeline are OpenMMLab's or mmgab's."""
    transforms = [*pipeline.transforms, *steps(pipeline)]  # steps() skips plain functions
    return all(type(each).__module__.partition('.')[0] in _PACKAGES for each in transforms)


def reads(pipeline: object, flag: str) -> bool:
    """Return True if a transform has a flag such as ``with_mask`` set, by default or config.

    Args:
        pipeline: A built pipeline.
        flag: ``'with_bbox'``, ``'with_label'``, ``'with_mask'`` or ``'with_seg'``.
    """
    return any(getattr(step, flag, False) for step in steps(pipeline))


def always(pipeline: object, is_wanted: Callable[[object], bool]) -> bool:
    """Return True if a matching transform is applied to every sample, in each branch.

    Args:
        pipeline: A built pipeline, or a part of it.
        is_wanted: Returns True for a matching transform.
    """
    if isinstance(pipeline, RandomChoice):
        return all(always(branch, is_wanted) for branch in pipeline.transforms)
    if isinstance(pipeline, RandomApply):
        return pipeline.prob >= 1 and always(pipeline.transforms, is_wanted)
    if isinstance(pipeline, (BaseTransform, Compose)):
        return is_wanted(pipeline) or always(vars(pipeline), is_wanted)
    if isinstance(pipeline, Mapping):
        pipeline = list(pipeline.values())
    if not isinstance(pipeline, (list, tuple)):
        return False
    return any(always(each, is_wanted) for each in pipeline)
