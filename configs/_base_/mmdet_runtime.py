"""MMDetection's runtime, with what a long run needs: docs/reliability.md."""

_base_ = 'mmdet::_base_/default_runtime.py'

default_hooks = dict(checkpoint=dict(type='mmgab.AtomicCheckpointHook'))
custom_hooks = [dict(type='mmgab.LabelRangeHook'), dict(type='mmgab.NumericsGuardHook')]
