"""Automatic mixed precision in a config: switched on by a flag, left out where it cannot run."""

import inspect
from collections.abc import Iterator, Mapping, MutableMapping

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from mmgab.config_types import is_type, type_name, type_of

_WITHOUT = ('cpu', 'mps')  # devices that MMEngine has no mixed precision for
# Beside the arguments of OptimWrapper, what constructors of optimizers read.
_OF_CONSTRUCTORS = ('type', '_scope_', 'constructor', 'paramwise_cfg')


def enable_mixed_precision(config: Config) -> None:
    """Enable automatic mixed precision in every OptimWrapper of a config.

    What is an AmpOptimWrapper already, or derived from it, keeps its settings.

    Raises:
        ValueError: If there is no ``optim_wrapper``, or one of another type.
    """
    if not config.get('optim_wrapper'):
        raise ValueError('--amp needs an optim_wrapper in the config')
    for settings in _optim_wrappers(config.optim_wrapper):
        if _is_amp(settings, config):
            continue
        if 'type' in settings and _type(settings, config) is not OptimWrapper:
            raise ValueError(
                f'--amp cannot replace the optim_wrapper type {type_name(settings)}, only '
                'OptimWrapper. Set a class derived from AmpOptimWrapper in the config instead'
            )
        settings.update(type=AmpOptimWrapper.__name__, loss_scale='dynamic')


def leave_out_mixed_precision(config: Config) -> bool:
    """Replace AmpOptimWrappers by OptimWrappers on a device that MMEngine has none for.

    Arguments that OptimWrapper does not take are dropped.

    Returns:
        Whether there was one.
    """
    if get_device() not in _WITHOUT:
        return False
    wrappers = _optim_wrappers(config.get('optim_wrapper') or {})
    found = [settings for settings in wrappers if _is_amp(settings, config)]
    known = {*inspect.signature(OptimWrapper).parameters, *_OF_CONSTRUCTORS}
    for settings in found:
        for key in [key for key in settings if key not in known]:
            settings.pop(key)
        settings['type'] = OptimWrapper.__name__
    return bool(found)


def _type(settings: Mapping, config: Config) -> object:
    return type_of(settings, OPTIM_WRAPPERS, config.get('default_scope'))


def _is_amp(settings: Mapping, config: Config) -> bool:
    return is_type(settings, AmpOptimWrapper, OPTIM_WRAPPERS, config.get('default_scope'))


def _optim_wrappers(settings: MutableMapping) -> Iterator[MutableMapping]:
    """Settings with an optimizer: they themselves, or by name, for a constructor of several."""
    if 'optimizer' in settings or 'constructor' not in settings:
        yield settings
        return
    for inner in settings.values():
        if isinstance(inner, MutableMapping) and 'optimizer' in inner:
            yield inner
