"""Apply ``--cfg-options``; a key that no known code reads raises an error.

MMEngine adds any key to a config, and most parts of a config ignore keys that they do not know: a
misspelt setting is silently not in force. ``+KEY=VALUE`` adds a key that is not known here.
"""

import difflib
from collections.abc import Iterator, Mapping, Set
from functools import cache
from typing import Any

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    LogProcessor,
    Runner,
    TestLoop,
    ValLoop,
)
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader

from mmgab.config_types import type_name

from .known_arguments import arguments_of, arguments_of_any, arguments_of_type
from .model_kind import kind_of_model

_SHOWN = 4  # uses of a variable that a message lists
ADDED = '+'  # before a key that is to be added without a check, as in Hydra

_SYNTAX = {'type', '_delete_', '_scope_'}  # of any dict in a config
# Read from a config by MMEngine, the toolboxes' scripts and this package.
_OF_CONFIGS = {
    'activation_checkpointing', 'compile', 'custom_imports', 'efficient_conv_bn_eval',
    'find_unused_parameters', 'model_wrapper_cfg', 'runner_type', 'sync_bn', 'trust_checkpoints',
    'tta_model', 'tta_pipeline',
}  # fmt: skip
# Of objects whose builders take more than the class: hooks, optimizers, schedules, layers.
_OF_BUILDERS = {
    'priority', 'constructor', 'paramwise_cfg', 'convert_to_iter_based', 'by_epoch',
    'requires_grad', 'deform_groups', 'fallback_on_stride',
}  # fmt: skip
# Dicts whose keys are names of the user's, or arguments of a function that is not known here.
_OPEN = {
    'args', 'backend_args', 'clip_grad', 'compile', 'custom_keys', 'data_prefix', 'dist_cfg',
    'file_client_args', 'init_kwargs', 'metainfo', 'model_wrapper_cfg', 'mp_cfg',
}  # fmt: skip
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_LOADER = {'dataset', 'sampler', 'batch_sampler', 'collate_fn', 'num_batch_per_epoch'}
# Dicts without a type.
_KEYS: dict[str, set[str]] = {
    'auto_scale_lr': {'enable', 'base_batch_size'},
    'custom_imports': {'imports', 'allow_failed_imports'},
    'default_hooks': {
        'runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint',
        'visualization',
    },
    'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    'optim_wrapper.paramwise_cfg': {
        'custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult',
        'dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate', 'decay_rate', 'decay_type',
        'layer_decay_rate', 'num_layers',
    },
}  # fmt: skip
# Of `model`, by the kind of the model; those of other kinds are not known.
_OF_MODELS: dict[str, dict[str, set[str]]] = {
    'classifier': {'train_cfg': {'augments', 'probs'}, 'test_cfg': set()},
    'segmentor': {
        'train_cfg': {'num_points', 'oversample_ratio', 'importance_sample_ratio', 'assigner'},
        'test_cfg': {
            'mode', 'crop_size', 'stride', 'threshold', 'subdivision_steps',
            'subdivision_num_points', 'scale_factor',
        },
    },
    'detector': {
        'train_cfg': {
            'rpn', 'rpn_proposal', 'rcnn', 'assigner', 'sampler', 'allowed_border', 'pos_weight',
            'debug', 'mask_size', 'nms', 'nms_pre', 'max_per_img', 'min_bbox_size',
        },
        'test_cfg': {
            'rpn', 'rcnn', 'nms', 'nms_pre', 'score_thr', 'min_bbox_size', 'max_per_img',
            'mask_thr_binary', 'mask_thr', 'panoptic_on', 'semantic_on', 'instance_on', 'iou_thr',
            'filter_low_score',
        },
    },
}  # fmt: skip
_STAGES = {'rpn', 'rpn_proposal', 'rcnn', 'panoptic'}  # all that a two-stage detector reads itself
_OF_FILTERS = {'filter_empty_gt', 'min_size', 'bbox_min_size'}
_OF_PARAMETERS = {'lr_mult', 'decay_mult', 'fix_lr'}

# Built by MMEngine, and without a type in most configs.
_BUILT = {
    'train_cfg': (EpochBasedTrainLoop, IterBasedTrainLoop),
    'val_cfg': (ValLoop,),
    'test_cfg': (TestLoop,),
    'optim_wrapper': (OptimWrapper,),
    'log_processor': (LogProcessor,),
    'visualizer': (Visualizer,),
    'randomness': (Runner.set_randomness,),
    **dict.fromkeys(_LOADERS, (DataLoader,)),
}


class OptionError(ValueError):
    """An override whose key is not known, or cannot be set."""


def merge_options(config: Config, options: Mapping[str, object]) -> None:
    """Override settings of a config.

    A key must be in the config, or be an argument of what the ``type`` next to it builds, or be one
    that MMEngine reads in its place. A variable of a config file that is not a run's setting, such
    as ``data_root``, was read where it is used when the file was: it cannot be overridden.

    Args:
        config: Changed in place.
        options: Dotted keys to values, as MMEngine's ``DictAction`` parses them. Keys that begin
            with ``+`` need not be known.

    Raises:
        OptionError: If a key is not known, and the message names the nearest one, or if MMEngine
            cannot set it.
    """
    for key in options:
        if not key.startswith(ADDED):
            _check_is_read(config, key)
        _check_key(config, key, options)
    config.merge_from_dict({key.removeprefix(ADDED): value for key, value in options.items()})


def _check_is_read(config: Config, key: str) -> None:
    """Check that an entry of the file is a setting, not a variable of other settings."""
    name = key.partition('.')[0]
    if name not in config._cfg_dict or name in _settings_of_runs():
        return
    value = config._cfg_dict[name]
    used = [path for path, each in _entries(config) if '.' in path and each == value]
    where = f'. Override {", ".join(used[:_SHOWN])}' if used and value not in (None, '') else ''
    raise OptionError(
        f'--cfg-options {key}: {name} is a variable of the config file, already substituted where '
        f'it is used; the override has no effect{where}. For custom code: {ADDED}{key}=...'
    )


def _check_key(config: Config, key: str, options: Mapping[str, object]) -> None:
    node, path, is_checked = config._cfg_dict, '', not key.startswith(ADDED)
    for name in key.removeprefix(ADDED).split('.'):
        if isinstance(node, (list, tuple)):
            node = _entry(node, name, key, path, options)
        elif not isinstance(node, Mapping):
            raise OptionError(
                f'--cfg-options {key}: {path} is {node!r:.100}, which has no {name}. '
                f'{path}._delete_=True replaces it with a dict'
            )
        else:
            if is_checked and name not in node:
                _check_new(config, node, name, key, path, options)
            is_checked = is_checked and not _is_ours(node)
            node = node.get(name, {})
        path = f'{path}.{name}' if path else name
        node = _with_options(node, path, options)


def _with_options(node: Any, path: str, options: Mapping[str, object]) -> Any:
    """Replace what ``_delete_`` and ``type`` among the options replace."""
    if _option(options, f'{path}._delete_'):
        node = {}
    kind = _option(options, f'{path}.type')
    return dict(node, type=kind) if kind is not None and isinstance(node, Mapping) else node


def _option(options: Mapping[str, object], key: str) -> object:
    return options.get(key, options.get(f'{ADDED}{key}'))


def _entry(
    node: list | tuple, name: str, key: str, path: str, options: Mapping[str, object]
) -> object:
    if isinstance(node, tuple):
        raise OptionError(
            f'--cfg-options {key}: {path} is the tuple {node!r:.100}, whose entries cannot be set '
            f'one by one. Give the whole tuple: "{path}=(...)"'
        )
    if not name.isdigit() or int(name) >= len(node):
        raise OptionError(
            f'--cfg-options {key}: {path} is a list of {len(node)}, whose entries are {path}.0 and '
            f'so on; it has no {name}'
        )
    entry, inner = node[int(name)], f'{path}.{name}'
    is_replaced = f'{inner}._delete_' in {each.removeprefix(ADDED) for each in options}
    if not isinstance(_option(options, inner), Mapping):
        is_replaced |= key.removeprefix(ADDED) == inner
    if is_replaced or not isinstance(entry, (Mapping, list)):
        raise OptionError(
            f'--cfg-options {key}: {inner} is {entry!r:.100}, and an entry of a list cannot be '
            f'replaced. Give the whole list: "{path}=[...]". Keys of an entry that is a dict can '
            f'be set: {inner}.KEY=...'
        )
    return entry


def _is_ours(node: Mapping) -> bool:
    """Return True if mmgab builds the object; its classes check their own dict arguments."""
    kind = node.get('type')
    return (kind if isinstance(kind, str) else getattr(kind, '__module__', '')).startswith('mmgab.')


def _check_new(
    config: Config, node: Mapping, name: str, key: str, path: str, options: Mapping[str, object]
) -> None:
    known = _known(config, node, path, options)
    is_new_hook = path == 'default_hooks' and f'default_hooks.{name}.type' in options
    if known is None or name in known | _SYNTAX or is_new_hook:
        return
    siblings = [f'{path}.{each}' if path else each for each in sorted({*known, *node})]
    nearest = _nearest(config, key, f'{path}.{name}' if path else name, siblings)
    what = (path or 'the config') + (f' ({type_name(node)})' if 'type' in node else '')
    raise OptionError(
        f'--cfg-options {key}: {what} has no {name}{nearest}. {ADDED}{key}=... adds it anyway'
    )


def _known(config: Config, node: Mapping, path: str, options: Mapping) -> Set[str] | None:
    """Return the keys that are read from a dict of the config; None if any key is allowed."""
    if not path:
        return _settings_of_runs()
    if _is_open(config, path, options):
        return None
    if node.get('type') is not None:
        names = arguments_of_type(node, config.get('default_scope'))
    elif path in _BUILT:
        names = arguments_of_any(_BUILT[path])
    else:
        return _known_without_type(config, node, path, options)
    return None if names is None else names | (_LOADER if path in _LOADERS else _OF_BUILDERS)


def _is_open(config: Config, path: str, options: Mapping) -> bool:
    names = path.split('.')
    if 'paramwise_cfg' in names and (
        'constructor' in config.get('optim_wrapper', {})
        or _option(options, 'optim_wrapper.constructor')
    ):
        return True
    return names[-2:-1] != ['custom_keys'] and not _OPEN.isdisjoint(names)


def _known_without_type(
    config: Config, node: Mapping, path: str, options: Mapping
) -> set[str] | None:
    *outer, last = path.split('.')
    if last == 'filter_cfg':
        return _OF_FILTERS
    if outer[-1:] == ['custom_keys']:  # other keys go into the optimizer's parameter group
        optimizer = config.get('optim_wrapper', {}).get('optimizer', {})
        optimizer = _with_options(optimizer, 'optim_wrapper.optimizer', options)
        names = arguments_of_type(optimizer, config.get('default_scope'))
        return None if names is None else names | _OF_PARAMETERS
    if f'{path}.'.startswith(('model.train_cfg.', 'model.test_cfg.')):
        return _known_to_model(config, node, path, options)
    found = [keys for each, keys in _KEYS.items() if f'{path}.'.startswith(f'{each}.')]
    return found[0] if found else set() if node else None


def _known_to_model(config: Config, node: Mapping, path: str, options: Mapping) -> set[str] | None:
    kind = kind_of_model(config) if 'model' in config and 'model.type' not in options else 'other'
    if kind not in _OF_MODELS:
        return None
    _, name, *inner = path.split('.')
    if kind == 'detector' and not inner and not _STAGES.isdisjoint(node):
        return _STAGES
    return _OF_MODELS[kind][name]


@cache
def _settings_of_runs() -> frozenset[str]:
    return frozenset(_OF_CONFIGS).union(arguments_of(Runner) or ())


def _entries(config: Config) -> Iterator[tuple[str, object]]:
    """List all dotted keys of a run's settings with their values."""
    waiting = [item for item in config._cfg_dict.items() if item[0] in _settings_of_runs()]
    while waiting:
        path, value = waiting.pop(0)
        yield path, value
        if isinstance(value, Mapping):
            waiting += [(f'{path}.{name}', each) for name, each in value.items()]
        elif isinstance(value, (list, tuple)):
            waiting += [(f'{path}.{number}', each) for number, each in enumerate(value)]


def _nearest(config: Config, key: str, unknown: str, siblings: list[str]) -> str:
    """Suggest a config key with the same ending, from the same dict, or with similar spelling."""
    paths = [path for path, _ in _entries(config)]
    found = [path for path in paths if path.endswith(f'.{key}')]
    found += difflib.get_close_matches(unknown, siblings, 1, 0.8)
    found += difflib.get_close_matches(key, paths, 1)
    return f'; the nearest key is {found[0]}' if found else ''
