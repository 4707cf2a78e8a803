"""Pipelines of transforms: what the steps within steps are, and what they read."""

from collections.abc import Iterator, Mapping

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose


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


def reads(pipeline: object, flag: str) -> bool:
    """Tell whether a transform loads what a flag stands for, by its default or the config.

    Args:
        pipeline: A built one.
        flag: ``'with_bbox'``, ``'with_label'``, ``'with_mask'`` or ``'with_seg'``.
    """
    return any(getattr(step, flag, False) for step in steps(pipeline))
