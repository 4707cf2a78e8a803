"""The model of a config with the weights of a checkpoint, to look at and not to train."""

import logging

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.registry import MODELS

from mmgab.checkpoints import LoadReport, load

from .default_scope import set_default_scope


def build_model(config: Config) -> BaseModel:
    """Build the model of a config, in evaluation mode and its parameters without gradients."""
    set_default_scope(config)
    if config.get('data_preprocessor'):  # next to the model, as MMPretrain's configs have it
        config.model.setdefault('data_preprocessor', config.data_preprocessor)
    return revert_sync_batchnorm(MODELS.build(config.model)).eval().requires_grad_(False)


def load_weights(
    model: BaseModel, checkpoint: str | None, trust: bool = False
) -> LoadReport | None:
    """Load a whole model, or draw weights as before training.

    Args:
        model: Of a config.
        checkpoint: A file that fits it, tensor by tensor; None for weights as before training.
        trust: See :func:`mmgab.checkpoints.read_checkpoint`.

    Returns:
        What was loaded; None where nothing was.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it does not fit.
    """
    if checkpoint is None:
        _initialise(model)
        return None
    return load(model, checkpoint, trust=trust, is_complete_model=True)


def _initialise(model: BaseModel) -> None:
    """Initialise weights without MMEngine's message for every parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        model.init_weights()
    finally:
        logger.setLevel(level)
