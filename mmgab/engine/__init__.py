"""Running: configs from either toolbox, checked runs, processes without a GPU."""

from .config import load_config
from .gab_monitor_hook import GABMonitorHook
from .image_shapes_hook import ImageShapesHook
from .label_range_hook import LabelRangeHook
from .patch_diversity_hook import PatchDiversityHook
from .preflight import check_data, check_work_dir
from .runner import CheckedRunner, leave_processes
from .trained_model import build_model, load_weights

__all__ = [
    'CheckedRunner',
    'GABMonitorHook',
    'ImageShapesHook',
    'LabelRangeHook',
    'PatchDiversityHook',
    'build_model',
    'check_data',
    'check_work_dir',
    'leave_processes',
    'load_config',
    'load_weights',
]
