"""Running: configs from either toolbox, checked runs, processes without a GPU."""

from .config import load_config
from .gab_monitor_hook import GABMonitorHook
from .image_shapes_hook import ImageShapesHook
from .label_range_hook import LabelRangeHook
from .patch_diversity_hook import PatchDiversityHook
from .preflight import check_data, check_work_dir
from .runner import CheckedRunner
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
    'load_config',
    'load_weights',
]
