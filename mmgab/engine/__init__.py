"""Running: configs from either toolbox, checked runs, processes without a GPU."""

from .config import load_config
from .label_range_hook import LabelRangeHook
from .preflight import check_data, check_work_dir
from .runner import CheckedRunner, leave_processes

__all__ = [
    'CheckedRunner',
    'LabelRangeHook',
    'check_data',
    'check_work_dir',
    'leave_processes',
    'load_config',
]
