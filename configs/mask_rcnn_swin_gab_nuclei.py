"""Mask R-CNN, a small Swin with the Gaussian bias, real nuclei, from scratch, on a laptop.

    python tools/dataset_converters/nuclei.py
    python tools/train.py configs/mask_rcnn_swin_gab_nuclei.py
    python tools/test.py configs/mask_rcnn_swin_gab_nuclei.py \
        work_dirs/mask_rcnn_swin_gab_nuclei/epoch_27.pth

Hardware  2 cores of a CPU, 4 images a step.
Time      3 to 4 minutes (a shared machine, whose speed varies).
Score     box / mask mAP 0.541 / 0.568 on 39 instances, one seed: measured with these commands.
          The baseline has 0.548 / 0.556, a difference of the size between seeds.
Baseline  mask_rcnn_swin_nuclei.py
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    './_base_/nuclei_instance.py',
    './_base_/adamw_swin.py',
    './_base_/mmdet_runtime.py',
]

_channels = 64  # of the pyramid and the heads
_region = dict(out_channels=_channels)

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmgab.SwinGAB',
        embed_dims=48,
        depths=(2, 2, 2, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=0.1,
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    ),
    neck=dict(in_channels=[48, 96, 192, 384], out_channels=_channels),
    rpn_head=dict(
        in_channels=_channels,
        feat_channels=_channels,
        # Nuclei are round and, enlarged, 20 to 50 pixels wide: one shape, anchors from 24 up.
        anchor_generator=dict(scales=[6], ratios=[1.0]),
    ),
    roi_head=dict(
        # One sample for each of 7 x 7 bins: a nucleus is some nine cells wide on the finest level.
        bbox_roi_extractor=dict(roi_layer=dict(sampling_ratio=1), **_region),
        bbox_head=dict(in_channels=_channels, fc_out_channels=256, num_classes=1),
        mask_roi_extractor=_region,
        mask_head=dict(in_channels=_channels, conv_out_channels=_channels, num_classes=1),
    ),
    # A tile holds about ten nuclei: RoIAlign of the usual 512 regions would be half of the time.
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(sampler=dict(num=64, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=200)),
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(norm_decay_mult=0.0),
    clip_grad=dict(max_norm=10),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=27, val_interval=27)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=True, end=27, convert_to_iter_based=True),
]
default_hooks = dict(logger=dict(interval=9), checkpoint=dict(interval=27))
custom_hooks = [*_base_.custom_hooks, dict(type='mmgab.GABMonitorHook', interval=9)]
randomness = dict(seed=0)
