"""A checkpoint's state of training, checked and reduced to data before a runner resumes from it."""

import re
from collections.abc import Mapping

_GPU_IDS = re.compile(r'^gpu_ids\s*=\s*(?:range\(0, (\d+)\)|\[([\d, ]*)\])\s*$', re.MULTILINE)
_CONFIG = 'config'  # in meta: Python text, which MMEngine would execute
_MAX_SEED = 2**32


def resumed_state(checkpoint: Mapping, source: str) -> Mapping:
    """Check what a runner reads from a checkpoint when it resumes.

    Args:
        checkpoint: What was read from the file.
        source: Its path, for messages.

    Returns:
        The checkpoint without the config that is saved as text: MMEngine would execute it.

    Raises:
        ValueError: If there is no state of training in it, or a part of it is of another type.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping) or not isinstance(checkpoint.get('message_hub'), Mapping):
        raise ValueError(
            f'{source} cannot be resumed from: it has no meta and message_hub, as files made for '
            'testing. load_from starts a new run from its weights'
        )
    for name in ('epoch', 'iter'):
        if type(meta.get(name)) is not int or meta[name] < 0:
            raise ValueError(
                f'{source} cannot be resumed from: meta.{name} must be a number from 0 on, got '
                f'{meta.get(name)!r:.100}'
            )
    seed = meta.get('seed')
    if seed is not None and (type(seed) is not int or not 0 <= seed < _MAX_SEED):
        raise ValueError(f'{source} cannot be resumed from: meta.seed is {seed!r:.100}')
    return {**checkpoint, 'meta': {k: v for k, v in meta.items() if k != _CONFIG}}


def processes_of(checkpoint: Mapping) -> int | None:
    """Number of processes that the text of a saved config gives as ``gpu_ids``, if it does."""
    text = checkpoint['meta'].get(_CONFIG)
    found = _GPU_IDS.search(text) if isinstance(text, str) else None
    if found is None:
        return None
    return int(found[1]) if found[1] else len(re.findall(r'\d+', found[2]))
