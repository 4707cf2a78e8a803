"""A Mask R-CNN so small that a run of it takes less than a minute on one core.

The backbone is a plain Swin of two stages with windows of 7 x 7 tokens; arms change it.
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    '../../_base_/adamw_swin.py',
    '../../_base_/mmdet_runtime.py',
]

_channels = 32  # of the pyramid and the heads
_strides = [4, 8]
_region = dict(out_channels=_channels, featmap_strides=_strides, roi_layer=dict(sampling_ratio=1))

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmgab.SwinGAB',
        embed_dims=32,
        depths=(2, 2),
        num_heads=(2, 4),
        strides=(4, 2),
        out_indices=(0, 1),
        window_size=7,
        drop_path_rate=0.0,
        gab_cfg=None,
    ),
    neck=dict(in_channels=[32, 64], out_channels=_channels, num_outs=2),
    rpn_head=dict(
        in_channels=_channels,
        feat_channels=_channels,
        anchor_generator=dict(scales=[6], ratios=[1.0], strides=_strides),
    ),
    roi_head=dict(
        bbox_roi_extractor=_region,
        bbox_head=dict(in_channels=_channels, fc_out_channels=128, num_classes=10),
        mask_roi_extractor=_region,
        mask_head=dict(
            num_convs=2, in_channels=_channels, conv_out_channels=_channels, num_classes=10
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        rcnn=dict(sampler=dict(num=32, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100)),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=144, val_interval=36)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# Small networks from scratch want a high rate, and moments that forget their first steps.
optim_wrapper = dict(
    optimizer=dict(lr=5e-3, betas=(0.9, 0.99), weight_decay=0.01),
    paramwise_cfg=dict(norm_decay_mult=0.0),
    clip_grad=dict(max_norm=1),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=20, end=144),
]
log_processor = dict(by_epoch=False)
default_hooks = dict(logger=dict(interval=20), checkpoint=None)
custom_hooks = [dict(type='mmgab.LabelRangeHook')]
