"""Running: configs from either toolbox, checked runs, processes without a GPU."""

from mmgab.hooks.gab_monitor_hook import GABMonitorHook
from mmgab.hooks.image_shapes_hook import ImageShapesHook
from mmgab.hooks.label_range_hook import LabelRangeHook
from mmgab.hooks.patch_diversity_hook import PatchDiversityHook

from .config import load_config
from .default_scope import set_default_scope
from .model_kind import kind_of_model
from .preflight import check_data, check_work_dir
from .runner import CheckedRunner
from .runner_choice import build_runner
from .trained_model import build_model, load_weights

__all__ = [
    'CheckedRunner',
    'GABMonitorHook',
    'ImageShapesHook',
    'LabelRangeHook',
    'PatchDiversityHook',
    'build_model',
    'build_runner',
    'check_data',
    'check_work_dir',
    'kind_of_model',
    'load_config',
    'load_weights',
    'set_default_scope',
]
