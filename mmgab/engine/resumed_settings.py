"""Settings of a resumed run that its checkpoint and its config give differently.

MMEngine restores the optimizer's parameter groups and the attributes of schedules: learning rate,
weight decay, betas, milestones and length of the checkpoint replace those of the config.
"""

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from mmengine.hooks import EMAHook
from mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.runner import Runner
from torch import Tensor

from .resumed_optimizer import IMPLEMENTATION, check_optimizer

# By name, a value for each parameter group, or the one of a schedule.
Settings = dict[str, list]

Each = TypeVar('Each')

_INITIAL = 'initial_'  # what a scheduled setting starts from, next to its present value
_SCHEDULE = 'param_scheduler'
_NO_SETTINGS = {'optimizer', 'self', 'args', 'kwargs', 'last_step', 'verbose'}
_SCALER_STATE = {'scale', '_growth_tracker'}
_SHOWN = 3  # pairs of values of a setting
_LONGEST = 100  # characters of a value


def settings_of(runner: Runner) -> Settings:
    """Collect the settings of a runner's optimizers, loss scalers and schedules.

    Args:
        runner: A runner; where its optimizer is not built yet, there are none.
    """
    wrapper = runner.optim_wrapper
    if not isinstance(wrapper, (OptimWrapper, OptimWrapperDict)):
        return {}
    found: Settings = {}
    is_several = isinstance(wrapper, OptimWrapperDict)
    for prefix, each in _named(dict(wrapper.items()) if is_several else wrapper):
        for key, values in _group_settings(each.optimizer.param_groups).items():
            found[prefix + key] = values
        if isinstance(each, AmpOptimWrapper):
            scaler = each.loss_scaler.state_dict()
            found |= {f'{prefix}loss_scale {k}': [scaler[k]] for k in scaler.keys() - _SCALER_STATE}
    for prefix, schedules in _named(runner.param_schedulers or []):
        for number, schedule in enumerate(schedules):
            name = f'{prefix}{_SCHEDULE}[{number}] ({type(schedule).__name__})'
            found |= {f'{name} {k}': [v] for k, v in _schedule_settings(schedule).items()}
    return found


def report_replaced(runner: Runner, config: Settings, source: str) -> None:
    """Log a warning with the settings that are the checkpoint's, and what the config has.

    Args:
        runner: A runner that has been resumed.
        config: Its settings before that.
        source: The checkpoint.
    """
    now = settings_of(runner)
    shared = sorted(now.keys() & config.keys(), key=lambda key: (_SCHEDULE in key, key))
    differences = [_difference(key, now[key], config[key]) for key in shared]
    seed = (runner.cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        differences.append(_difference('seed', [runner.seed], [seed]))
    replaced = [text for text in differences if text]
    if replaced:
        runner.logger.warning(
            f'Settings restored from the checkpoint: {"; ".join(replaced)}. To train with the '
            'settings of the config, start a new run from these weights: without --resume, with '
            f'--cfg-options load_from={source} and another --work-dir'
        )


def check_resumable(runner: Runner, checkpoint: Mapping, source: str) -> None:
    """Check that a checkpoint has the state of the optimizers that a run has.

    Schedules and averaged weights that do not fit are logged as warnings.

    Args:
        runner: A runner that has built its optimizers and schedules.
        checkpoint: What is resumed.
        source: Its path.

    Raises:
        ValueError: If the state is one of other optimizers or other parameter groups.
    """
    saved = checkpoint.get('optimizer')
    if isinstance(saved, Mapping) and isinstance(runner.optim_wrapper, OptimWrapper):
        check_optimizer(runner.optim_wrapper.optimizer, saved, source)
    elif isinstance(saved, Mapping) and isinstance(runner.optim_wrapper, OptimWrapperDict):
        for name, wrapper in runner.optim_wrapper.items():
            check_optimizer(wrapper.optimizer, saved.get(name, {}), f'{source} ({name})')
    if 'param_schedulers' in checkpoint:
        _report_schedules(runner, checkpoint['param_schedulers'], source)
    if 'ema_state_dict' in checkpoint and not any(isinstance(h, EMAHook) for h in runner.hooks):
        runner.logger.warning(
            f'{source} was saved with an EMAHook, and the config has none: training resumes from '
            'its averaged weights (state_dict), not from the trained ones. To continue unchanged, '
            'put the EMAHook back into custom_hooks'
        )


def _report_schedules(
    runner: Runner, saved: Sequence | Mapping[str, Sequence], source: str
) -> None:
    saved_states = dict(_named(saved))
    for prefix, schedules in _named(runner.param_schedulers or []):
        states = saved_states.get(prefix, [])
        if len(states) != len(schedules):
            runner.logger.warning(
                f'{source} has {len(states)} schedules ({prefix}param_scheduler), the config has '
                f'{len(schedules)}: those that have no saved state start from their first step'
            )
        for number, (schedule, state) in enumerate(zip(schedules, states, strict=False)):
            lacking = sorted(_public(schedule.state_dict()) - _public(state))
            if lacking:
                runner.logger.warning(
                    f'{prefix}param_scheduler[{number}] of {source} is not a '
                    f'{type(schedule).__name__}, as the config has it (it lacks '
                    f'{", ".join(lacking)}). type and {", ".join(lacking)} come from the config, '
                    'begin, end and step from the checkpoint'
                )


def _named(value: Each | Mapping[str, Each]) -> Iterator[tuple[str, Each]]:
    """Optimizers or schedules with the names that several have, as prefixes."""
    if isinstance(value, Mapping):
        yield from ((f'{name}: ', each) for name, each in value.items())
    else:
        yield '', value


def _group_settings(groups: list[dict]) -> Settings:
    keys = {key for group in groups for key in group if not key.startswith(_INITIAL)}
    return {
        key: [_group_value(g, key) for g in groups] for key in keys - {'params', *IMPLEMENTATION}
    }


def _group_value(group: Mapping, key: str) -> object:
    """A setting of a group; where it is scheduled, what the schedule starts from."""
    value = group.get(_INITIAL + key, group.get(key))
    if key == 'betas' and isinstance(value, tuple) and f'{_INITIAL}momentum' in group:
        value = (group[f'{_INITIAL}momentum'], *value[1:])  # MMEngine schedules the first of them
    return value


def _schedule_settings(schedule: _ParamScheduler) -> dict[str, object]:
    """Arguments of a schedule's class and its bases that it keeps."""
    names = {
        name
        for kind in type(schedule).__mro__
        if '__init__' in vars(kind)
        for name in inspect.signature(vars(kind)['__init__']).parameters
    }
    return {
        name: getattr(schedule, name) for name in names - _NO_SETTINGS if hasattr(schedule, name)
    }


def _public(state: Mapping) -> set[str]:
    return {name for name in state if not name.startswith('_')}


def _difference(key: str, now: list, config: list) -> str | None:
    """Values that differ, each pair once, in the order of the groups."""
    pairs = dict.fromkeys(
        (_text(one), _text(other)) for one, other in zip(now, config, strict=False)
    )
    different = [pair for pair in pairs if pair[0] != pair[1]]
    if not different:
        return None
    shown = ', '.join(f'{one} (config: {other})' for one, other in different[:_SHOWN])
    more = f' and {len(different) - _SHOWN} more' if len(different) > _SHOWN else ''
    return f'{key} {shown}{more}'


def _text(value: object) -> str:
    """A value of a file or a config, in the same words whatever container it was saved in."""
    if isinstance(value, (list, tuple, Counter)):  # milestones are counted
        return f'[{", ".join(map(_item, value)):.{_LONGEST}}]'
    return _item(value)


def _item(value: object) -> str:
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    return f'{value:.6g}' if isinstance(value, float) else f'{value!r:.{_LONGEST}}'
