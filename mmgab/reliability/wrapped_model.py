"""Unwrap a distributed model."""

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """The model itself, where it is in a wrapper such as MMDistributedDataParallel."""
    return model.get_submodule('module') if is_model_wrapper(model) else model
