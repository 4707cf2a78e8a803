"""Runs that lose nothing: whole checkpoints, exact resuming, ends on request."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .newest_checkpoint import newest_checkpoint
from .numerics_guard_hook import NumericsGuardHook
from .processes import leave_processes
from .stop_request import STOPPED_EXIT_CODE
from .unreadable_images_hook import UnreadableImagesHook

__all__ = [
    'STOPPED_EXIT_CODE',
    'AtomicCheckpointHook',
    'NumericsGuardHook',
    'UnreadableImagesHook',
    'leave_processes',
    'newest_checkpoint',
]
