"""Check the heads of a detector: ``num_classes``, and the annotations that losses need."""

from collections.abc import Iterator
from functools import partial

from mmengine.config import Config
from mmengine.dataset import BaseDataset, Compose
from mmengine.registry import MODELS

from mmgab.config_types import type_of
from mmgab.datasets.built_datasets import class_names

from .dataset_parts import has_labels
from .findings import Finding
from .model_heads import check_number, heads
from .pipelines import all_known, always, steps

_BOXES, _MASKS = 'bbox_head', 'mask_head'


def check_detector(config: Config, dataset: BaseDataset) -> Iterator[Finding]:
    """Compare the heads of a model with the classes of its training set.

    Args:
        config: The complete config.
        dataset: A built training set of the config.
    """
    if not has_labels(dataset):
        return
    allowed = {len(class_names(dataset)), len(class_names(dataset, 'thing_classes'))} - {0}
    for where, head in heads(config.get('model'), 'model', (_BOXES, _MASKS)):
        if allowed and not head.get('class_agnostic'):
            yield from check_number(where, head, allowed)
    yield from _check_loaded(config, dataset.pipeline)


def _check_loaded(config: Config, pipeline: Compose) -> Iterator[Finding]:
    """Check that a complete pipeline loads what the losses of MMDetection's heads need."""
    model = config.get('model') or {}
    kind = type_of(model, MODELS, config.get('default_scope'))
    is_complete = any(hasattr(step, 'meta_keys') for step in steps(pipeline))
    if not getattr(kind, '__module__', '').startswith(('mmdet.', 'mmgab.')) or not is_complete:
        return
    flags = ['with_bbox', 'with_label'] if finds_boxes(config) else []
    if any(heads(model.get('roi_head'), 'roi_head', (_MASKS,))):
        flags.append('with_mask')
    for flag in flags if all_known(pipeline) else ():
        if not always(pipeline, partial(_has_set, flag)):
            detail = (
                f'LoadAnnotations({flag}=True) is missing in the pipeline, or in a branch of it'
            )
            yield Finding('training pipeline does not load what the losses need', detail)


def _has_set(flag: str, step: object) -> bool:
    return bool(getattr(step, flag, False))


def finds_boxes(config: Config) -> bool:
    """Return True if the model has a bbox head, which rescales boxes with ``scale_factor``."""
    return any(heads(config.get('model'), 'model', (_BOXES,)))
