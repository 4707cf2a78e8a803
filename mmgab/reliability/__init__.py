"""Reliable runs: atomic checkpoints, exact resuming, graceful stop on a signal."""

from mmgab.former_names import find

from .checkpoint_search import newest_checkpoint
from .processes import leave_processes
from .stop_request import STOPPED_EXIT_CODE

__all__ = ['STOPPED_EXIT_CODE', 'leave_processes', 'newest_checkpoint']


def __getattr__(name: str) -> object:
    """Find a hook that was here before hooks had a package of their own."""
    return find(__name__, name)
