"""The runner that a config asks for."""

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmgab.config_types import type_of

from .runner import CheckedRunner


def build_runner(config: Config) -> Runner:
    """Build a config's ``runner_type``, a class or its name; :class:`CheckedRunner` by default.

    Raises:
        ValueError: If it is not derived from MMEngine's ``Runner``: FlexibleRunner is not, its
            strategies save and resume in their own ways.
    """
    kind = config.get('runner_type')
    if kind is None:
        return CheckedRunner.from_cfg(config)
    found = type_of(dict(type=kind), RUNNERS, config.get('default_scope'))
    if found is None:
        raise ValueError(
            f'runner_type {kind!r} is not registered: is its module imported (custom_imports)?'
        )
    if not (isinstance(found, type) and issubclass(found, Runner)):
        name = getattr(found, '__name__', found)
        raise ValueError(
            f'runner_type {name} is not supported: it is not derived from mmengine.runner.Runner, '
            'which checkpoint saving, checking and resuming rely on. Remove runner_type '
            'or override it with --cfg-options runner_type=mmgab.CheckedRunner'
        )
    runner: type[Runner] = found
    return runner.from_cfg(config)
