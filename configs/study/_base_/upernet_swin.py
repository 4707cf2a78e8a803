"""A UPerNet so small that a run of it takes less than a minute on one core.

The backbone is a plain Swin of two stages with windows of 7 x 7 tokens; arms change it. There is no
auxiliary head: a second loss at full size would be a third of the time.
"""

_base_ = [
    '../../_base_/upernet.py',
    '../../_base_/adamw_swin.py',
    '../../_base_/mmseg_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        embed_dims=32,
        depths=(2, 2),
        num_heads=(2, 4),
        strides=(4, 2),
        out_indices=(0, 1),
        drop_path_rate=0.0,
        gab_cfg=None,
    ),
    decode_head=dict(
        in_channels=[32, 64],
        in_index=[0, 1],
        pool_scales=(1,),
        channels=64,
        dropout_ratio=0.0,
        norm_cfg=dict(type='BN', requires_grad=True),
    ),
    auxiliary_head=None,
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=320, val_interval=64)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# Small networks from scratch want a high rate, and moments that forget their first steps.
optim_wrapper = dict(
    optimizer=dict(lr=1e-2, betas=(0.9, 0.99), weight_decay=0.01),
    paramwise_cfg=dict(norm_decay_mult=0.0),
    clip_grad=dict(max_norm=1),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=20, end=320),
]
default_hooks = dict(logger=dict(interval=40), checkpoint=None)
custom_hooks = [dict(type='mmgab.LabelRangeHook')]
