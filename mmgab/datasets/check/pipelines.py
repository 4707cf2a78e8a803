"""Pipelines of transforms: what the steps within steps are, and what they read."""

from collections.abc import Callable, Iterator, Mapping

from mmcv.transforms import BaseTransform, RandomApply, RandomChoice
from mmengine.dataset import Compose

_PACKAGES = ('mmcv', 'mmdet', 'mmseg', 'mmgab', 'mmpretrain', 'mmengine')


def steps(pipeline: object) -> Iterator[object]:
    """All transforms of a built pipeline, also those that are arguments of others."""
    if isinstance(pipeline, (list, tuple)):
        for each in pipeline:
            yield from steps(each)
    elif isinstance(pipeline, Mapping):
        yield from steps(list(pipeline.values()))
    elif isinstance(pipeline, (BaseTransform, Compose)):
        yield pipeline
        yield from steps(vars(pipeline))


def all_known(pipeline: Compose) -> bool:
    """Tell whether all transforms of a built pipeline are OpenMMLab's or this library's."""
    transforms = [*pipeline.transforms, *steps(pipeline)]  # a function is no step
    return all(type(each).__module__.partition('.')[0] in _PACKAGES for each in transforms)


def reads(pipeline: object, flag: str) -> bool:
    """Tell whether a transform loads what a flag stands for, by its default or the config.

    Args:
        pipeline: A built one.
        flag: ``'with_bbox'``, ``'with_label'``, ``'with_mask'`` or ``'with_seg'``.
    """
    return any(getattr(step, flag, False) for step in steps(pipeline))


def always(pipeline: object, is_wanted: Callable[[object], bool]) -> bool:
    """Tell whether a transform of some kind is applied to each sample, in whatever branch.

    Args:
        pipeline: A built one, or a part of it.
        is_wanted: Tells whether a transform is of that kind.
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
