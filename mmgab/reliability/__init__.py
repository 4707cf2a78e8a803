"""Runs that lose nothing: whole checkpoints, exact resuming, ends on request."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .newest_checkpoint import newest_checkpoint
from .numerics_guard_hook import NumericsGuardHook
from .stop_request import STOPPED_EXIT_CODE, leave_processes

__all__ = [
    'STOPPED_EXIT_CODE',
    'AtomicCheckpointHook',
    'NumericsGuardHook',
    'leave_processes',
    'newest_checkpoint',
]
