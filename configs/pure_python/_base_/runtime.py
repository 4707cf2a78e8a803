"""Runtime of MMEngine, with what a long run needs: docs/reliability.md."""

from mmengine.hooks import DistSamplerSeedHook, IterTimerHook, LoggerHook, ParamSchedulerHook

from mmgab.engine import LabelRangeHook
from mmgab.reliability import AtomicCheckpointHook, NumericsGuardHook

default_scope = None  # every type below is a class: there is nothing to look up
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, interval=50),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(type=AtomicCheckpointHook, interval=1),
    sampler_seed=dict(type=DistSamplerSeedHook),
)
custom_hooks = [dict(type=LabelRangeHook), dict(type=NumericsGuardHook)]
log_level = 'INFO'
load_from = None
resume = False
