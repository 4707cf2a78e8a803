"""Runs that lose nothing: whole checkpoints, exact resuming, ends on request."""

import importlib

from .checkpoint_search import newest_checkpoint
from .processes import leave_processes
from .stop_request import STOPPED_EXIT_CODE

__all__ = ['STOPPED_EXIT_CODE', 'leave_processes', 'newest_checkpoint']

# Configs that version 0.1.0 wrote name them by this package.
_HOOKS = ('AtomicCheckpointHook', 'NumericsGuardHook', 'UnreadableImagesHook')


def __getattr__(name: str) -> object:
    """Find a hook that was here before it had a package of its own."""
    if name not in _HOOKS:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module('mmgab.hooks'), name)
