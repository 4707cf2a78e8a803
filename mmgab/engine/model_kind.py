"""The kind of a config's model: detector, segmentor, classifier or other."""

from collections.abc import Iterator, Mapping
from typing import Literal

from mmengine.config import Config
from mmengine.registry import MODELS

from mmgab.config_types import type_of

ModelKind = Literal['detector', 'segmentor', 'classifier', 'pretraining', 'other']

# Base classes by package and name: this package does not import the toolboxes.
_BASES: dict[tuple[str, str], ModelKind] = {
    ('mmdet', 'BaseDetector'): 'detector',
    ('mmseg', 'BaseSegmentor'): 'segmentor',
    ('mmpretrain', 'BaseClassifier'): 'classifier',
    ('mmpretrain', 'BaseSelfSupervisor'): 'pretraining',
}
# For what is built by a function, or registered by code that is not imported yet.
_SCOPES: dict[str, ModelKind] = {
    'mmdet': 'detector',
    'mmseg': 'segmentor',
    'mmpretrain': 'classifier',
}
# Where wrappers have the model that they wrap: test-time augmentation, semi-supervision,
# tracking, distillation.
_WRAPPED = ('module', 'detector', 'segmentor', 'model', 'architecture')


def kind_of_model(config: Config) -> ModelKind:
    """Return the kind of a config's model, from its class and not from ``default_scope``.

    Of a wrapper, such as ``tta_model`` around a model, it is the kind of what is wrapped.
    """
    scope = config.get('default_scope')
    for settings in wrapped_settings(config.model):
        found = type_of(settings, MODELS, scope)
        for base in getattr(found, '__mro__', ()):
            kind = _BASES.get((base.__module__.partition('.')[0], base.__name__))
            if kind is not None:
                return kind
    return 'other' if isinstance(found, type) else _SCOPES.get(scope, 'other')


def wrapped_settings(model: Mapping) -> Iterator[Mapping]:
    """Settings of a model, then of the model that it wraps, down to the innermost."""
    yield model
    for inner in map(model.get, _WRAPPED):
        if isinstance(inner, Mapping) and 'type' in inner:
            yield from wrapped_settings(inner)
            return
