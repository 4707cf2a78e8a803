"""Validation of ``init_cfg`` and loading of its pretrained checkpoint."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS

from mmgab.checkpoints import load
from mmgab.config_types import is_type
from mmgab.layers.validation import check_keys
from mmgab.log import log

# Accepted in addition to the arguments of load; MMEngine's map_location has no effect here.
_KEYS = ('type', 'checkpoint', 'map_location')
_GIVEN = ('model', 'source', 'checkpoint', 'is_complete_model')


class StartsFromCheckpoint(BaseModule):
    """Base of modules whose ``init_cfg`` is None or a pretrained checkpoint."""

    init_cfg: Mapping | None

    def init_weights(self) -> None:
        """Load the checkpoint of ``init_cfg``, if there is one, and log what was loaded.

        Raises:
            FileNotFoundError: If the checkpoint does not exist.
            ValueError: If the checkpoint cannot be read or does not match this network.
        """
        if self.init_cfg is None:
            name = type(self).__name__
            log(f'{name}: no init_cfg, training from scratch')
        else:
            report = load(self, **load_arguments(self.init_cfg))
            log(str(report))
        self.is_init = True


def checked_init_cfg(pretrained: str | None, init_cfg: Mapping | None) -> Mapping | None:
    """Check ``init_cfg``, or convert the deprecated ``pretrained`` to it.

    Args:
        pretrained: A path or URL, or None.
        init_cfg: As a config has it, or None; with any argument of
            :func:`mmgab.checkpoints.load`.

    Raises:
        TypeError: If ``pretrained`` is not a string.
        ValueError: If both are given, or ``init_cfg`` does not load a checkpoint.
    """
    if pretrained is not None:
        return _from_pretrained(pretrained, init_cfg)
    if init_cfg is None:
        return None
    if not isinstance(init_cfg, Mapping) or not _is_pretrained(init_cfg):
        raise ValueError(f"init_cfg must be None or have type='Pretrained', got {init_cfg!r}")
    if not isinstance(init_cfg.get('checkpoint'), str):
        raise ValueError(f"init_cfg must have checkpoint='<path or URL>', got {init_cfg!r}")
    options = [name for name in inspect.signature(load).parameters if name not in _GIVEN]
    check_keys('init_cfg', init_cfg, [*_KEYS, *options])
    return init_cfg


def _is_pretrained(init_cfg: Mapping) -> bool:
    return is_type(init_cfg, PretrainedInit, WEIGHT_INITIALIZERS)


def _from_pretrained(pretrained: str, init_cfg: Mapping | None) -> Mapping:
    if init_cfg is not None:
        raise ValueError(
            f'set init_cfg or pretrained, not both: got init_cfg={init_cfg!r} and '
            f'pretrained={pretrained!r}'
        )
    if not isinstance(pretrained, str):
        raise TypeError(f'pretrained must be a path or URL, got {pretrained!r}')
    fix = f"init_cfg=dict(type='Pretrained', checkpoint={pretrained!r})"
    warnings.warn(f'pretrained is deprecated, use {fix}', DeprecationWarning, stacklevel=5)
    return dict(type='Pretrained', checkpoint=pretrained)


def load_arguments(init_cfg: Mapping) -> dict[str, Any]:
    """Return the arguments of :func:`mmgab.checkpoints.load`, except the model."""
    options = {key: value for key, value in init_cfg.items() if key not in _KEYS}
    return dict(source=init_cfg['checkpoint'], **options)
