"""Wrap a model for distributed training on CPUs; MMEngine wraps for a GPU in each process."""

from collections.abc import Mapping

from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def wrap_on_cpu(
    settings: Mapping | None, model: nn.Module, find_unused_parameters: bool
) -> nn.Module:
    """Wrap a model whose tensors are on the CPU.

    Args:
        settings: The config's ``model_wrapper_cfg``; without a type, or None, for MMEngine's
            ``MMDistributedDataParallel``.
        model: The model; SyncBatchNorm, which needs GPUs, becomes BatchNorm.
        find_unused_parameters: The config's, which MMEngine reads where there are no settings.

    Raises:
        KeyError: If the type is not registered.
    """
    if settings is None:
        settings = dict(broadcast_buffers=False, find_unused_parameters=find_unused_parameters)
    settings = {'type': MMDistributedDataParallel, **settings}
    kind = settings['type']
    kind = MODEL_WRAPPERS.get(kind) if isinstance(kind, str) else kind
    if isinstance(kind, type) and issubclass(kind, DistributedDataParallel):
        settings['device_ids'] = None
    return MODEL_WRAPPERS.build(settings, default_args=dict(module=revert_sync_batchnorm(model)))
