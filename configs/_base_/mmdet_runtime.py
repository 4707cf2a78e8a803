"""MMDetection's runtime, and the check of labels against classes."""

_base_ = 'mmdet::_base_/default_runtime.py'

custom_hooks = [dict(type='mmgab.LabelRangeHook')]
