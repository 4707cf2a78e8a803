"""A checkpoint's state of training, checked and reduced to data before a runner resumes from it."""

import re
from collections.abc import Mapping
from pathlib import Path

_GPU_IDS = re.compile(r'^gpu_ids\s*=\s*(?:range\(0, (\d+)\)|\[([\d, ]*)\])\s*$', re.MULTILINE)
_CONFIG = 'config'  # in meta: Python text, which MMEngine would execute
# In the message hub: text of a config that inferencers execute, where the run has its own; and what
# version 0.1.0 noted, which MMEngine prints among the metrics because it begins with "val".
_NOT_RESUMED = {'cfg', 'validation_owed'}
_MAX_SEED = 2**32
_BEST, _STEPS = 'best_ckpt', 'keep_ckpt_ids'  # MMEngine's keys for files and steps


def resumed_state(checkpoint: Mapping, source: str) -> Mapping:
    """Check what a runner reads from a checkpoint when it resumes.

    Args:
        checkpoint: What was read from the file.
        source: Its path, for messages.

    Returns:
        The checkpoint without configs that are saved as text, which MMEngine would execute, and
        without notes of older versions.

    Raises:
        ValueError: If there is no state of training in it, or a part of it is of another type.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping) or not isinstance(checkpoint.get('message_hub'), Mapping):
        raise ValueError(
            f'{source} cannot be resumed from: it has no meta and message_hub. It may be an '
            'exported or published file. load_from starts a new run from its weights'
        )
    for name in ('epoch', 'iter'):
        if type(meta.get(name)) is not int or meta[name] < 0:
            raise ValueError(
                f'{source} cannot be resumed from: meta.{name} must be an integer >= 0, got '
                f'{meta.get(name)!r:.100}'
            )
    seed = meta.get('seed')
    if seed is not None and (type(seed) is not int or not 0 <= seed < _MAX_SEED):
        raise ValueError(
            f'{source} cannot be resumed from: meta.seed must be an '
            f'integer from 0 to {_MAX_SEED - 1}, got {seed!r:.100}'
        )
    hub = {
        part: {key: value for key, value in content.items() if key not in _NOT_RESUMED}
        if isinstance(content, Mapping)
        else content
        for part, content in checkpoint['message_hub'].items()
    }
    kept = {key: value for key, value in meta.items() if key != _CONFIG}
    return {**checkpoint, 'meta': kept, 'message_hub': hub}


def reduce_to_own_files(checkpoint: Mapping, folder: Path) -> Mapping:
    """Drop what a checkpoint lists of files that MMEngine's own hook would delete elsewhere.

    Args:
        checkpoint: What is resumed.
        folder: Where the hook saves.

    Returns:
        The checkpoint; its best checkpoints are listed if they are in the folder, and steps if they
        are numbers.
    """
    info = dict(checkpoint['message_hub'].get('runtime_info', {}))
    for key in [key for key in info if str(key).startswith(_BEST)]:
        path = info[key]
        is_own = isinstance(path, str) and Path(path).name.startswith('best_')
        if not is_own or Path(path).parent.resolve() != folder.resolve():
            info.pop(key)
            info.pop(key.replace('ckpt', 'score', 1), None)
    steps = info.get(_STEPS, [])
    if not all(type(step) is int and step >= 0 for step in steps):
        info.pop(_STEPS)
    hub = {**checkpoint['message_hub'], 'runtime_info': info}
    return {**checkpoint, 'message_hub': hub}


def processes_of(checkpoint: Mapping) -> int | None:
    """Number of processes that the text of a saved config gives as ``gpu_ids``, if it does."""
    text = checkpoint['meta'].get(_CONFIG)
    found = _GPU_IDS.search(text) if isinstance(text, str) else None
    if found is None:
        return None
    return int(found[1]) if found[1] else len(re.findall(r'\d+', found[2]))
