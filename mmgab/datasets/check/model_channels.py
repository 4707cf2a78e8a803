"""Read the image channels that a model expects from its config."""

import inspect
from dataclasses import dataclass

from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import MODELS

from mmgab.config_types import type_name, type_of

from .pipelines import all_known, steps

_ARGUMENTS = ('in_channels', 'in_chans')
_CHANGE_CHANNELS = {'RGB2Gray', 'ConcatCDInput', 'LoadMultipleRSImageFromFile'}


@dataclass(frozen=True)
class ModelChannels:
    """Image channels that a model expects.

    Attributes:
        network: Input channels of the backbone; None if unknown.
        mean: Length of the data preprocessor's ``mean``; None if it has none.
        repeats: Whether the data preprocessor expands one channel to three.
    """

    network: int | None
    mean: int | None
    repeats: bool

    def problem(self, channels: int) -> str | None:
        """Return why images with so many channels do not match; None if they do."""
        if self.repeats and channels == 1 and self.mean == self.network:
            return None
        if self.network not in (None, channels):
            return f'the backbone expects {self.network}'
        if self.mean not in (None, 1, channels):
            return f"the data preprocessor's mean has {self.mean} values"
        return None


def model_channels(config: Config, pipeline: Compose) -> ModelChannels | None:
    """Read the image channels that the model of a config expects.

    Args:
        config: The complete config.
        pipeline: Built pipeline of a dataset.

    Returns:
        Channels; None if there is no model, or if transforms may change channels.
    """
    model = config.get('model') or {}
    if not model.get('backbone') or _changes(pipeline):
        return None
    preprocessor = model.get('data_preprocessor') or {}
    mean = preprocessor.get('mean')
    return ModelChannels(
        _of_backbone(model['backbone'], config.get('default_scope')),
        None if mean is None else len(mean),
        # SegDataPreProcessor subtracts a mean of any length, which broadcasts one channel.
        type_name(preprocessor) == 'SegDataPreProcessor',
    )


def _of_backbone(backbone: dict, scope: str | None) -> int | None:
    for name in _ARGUMENTS:
        if name in backbone:
            return backbone[name]
    kind = type_of(backbone, MODELS, scope)
    parameters = inspect.signature(kind).parameters if isinstance(kind, type) else {}
    defaults = (parameters[name].default for name in _ARGUMENTS if name in parameters)
    return next((value for value in defaults if isinstance(value, int)), None)


def _changes(pipeline: Compose) -> bool:
    """Return True if a transform changes channels, or may do so."""
    names = {type(each).__name__ for each in steps(pipeline)}
    return bool(names & _CHANGE_CHANNELS) or not all_known(pipeline)
