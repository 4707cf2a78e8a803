"""Hooks that a config's ``custom_hooks`` and ``default_hooks`` can name."""

from .atomic_checkpoint_hook import AtomicCheckpointHook
from .gab_monitor_hook import GABMonitorHook
from .image_shapes_hook import ImageShapesHook
from .label_range_hook import LabelRangeHook
from .numerics_guard_hook import NumericsGuardHook
from .patch_diversity_hook import PatchDiversityHook
from .unreadable_images_hook import UnreadableImagesHook

__all__ = [
    'AtomicCheckpointHook',
    'GABMonitorHook',
    'ImageShapesHook',
    'LabelRangeHook',
    'NumericsGuardHook',
    'PatchDiversityHook',
    'UnreadableImagesHook',
]
