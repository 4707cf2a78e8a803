"""The checkpoint that a backbone starts from, as configs name it."""

import warnings
from collections.abc import Mapping

from .arguments import check_keys

# Beside the arguments of `load`: MMEngine's, which has the same meaning for any device.
_OPTIONS = ('strict', 'resize', 'prefix', 'trust', 'sha256')
_KEYS = ('type', 'checkpoint', 'map_location', *_OPTIONS)


def checked_init_cfg(pretrained: str | None, init_cfg: Mapping | None) -> Mapping | None:
    """Check ``init_cfg``, and turn the deprecated ``pretrained`` into it.

    Raises:
        TypeError: If ``pretrained`` is not a string.
        ValueError: If both are given, or ``init_cfg`` is not one that loads a checkpoint.
    """
    if pretrained is not None:
        return _from_pretrained(pretrained, init_cfg)
    if init_cfg is None:
        return None
    if not isinstance(init_cfg, Mapping) or init_cfg.get('type') != 'Pretrained':
        raise ValueError(f"init_cfg must be None or have type='Pretrained', got {init_cfg!r}")
    if not isinstance(init_cfg.get('checkpoint'), str):
        raise ValueError(f'init_cfg must name a checkpoint, a path or URL, got {init_cfg!r}')
    check_keys('init_cfg', init_cfg, _KEYS)
    return init_cfg


def _from_pretrained(pretrained: str, init_cfg: Mapping | None) -> Mapping:
    if init_cfg is not None:
        raise ValueError(f'give init_cfg or pretrained, not both: {init_cfg!r}, {pretrained!r}')
    if not isinstance(pretrained, str):
        raise TypeError(f'pretrained must be a path or URL, got {pretrained!r}')
    cure = f"init_cfg=dict(type='Pretrained', checkpoint={pretrained!r})"
    warnings.warn(f'pretrained is deprecated, use {cure}', DeprecationWarning, stacklevel=5)
    return dict(type='Pretrained', checkpoint=pretrained)


def load_arguments(init_cfg: Mapping) -> dict:
    """Arguments of :func:`mmgab.checkpoints.load`, but for the model."""
    options = {key: init_cfg[key] for key in _OPTIONS if key in init_cfg}
    return dict(source=init_cfg['checkpoint'], **options)
