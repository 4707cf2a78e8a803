# ruff: noqa: F403, F405  bases are read by MMEngine
"""RetinaNet, boxes of nuclei, a small Swin with the Gaussian bias, from scratch, in pure Python.

    python tools/dataset_converters/nuclei.py
    python tools/train.py configs/pure_python/retinanet_swin_gab_nuclei.py

Score     not measured: an example of a detector without masks, which --tta can merge.
"""

from mmcv.ops import nms
from mmdet.models import FPN, DetDataPreprocessor, RetinaHead, RetinaNet
from mmdet.models.losses import FocalLoss, L1Loss
from mmdet.models.task_modules import (
    AnchorGenerator,
    DeltaXYWHBBoxCoder,
    MaxIoUAssigner,
    PseudoSampler,
)
from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR, LinearLR

from mmgab.models import SwinGAB

with read_base():
    from ._base_.adamw_swin import *
    from ._base_.nuclei_instance import *
    from ._base_.runtime import *

model = dict(
    type=RetinaNet,
    data_preprocessor=dict(
        type=DetDataPreprocessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type=SwinGAB,
        embed_dims=48,
        depths=(2, 2, 2, 2),
        num_heads=(3, 6, 12, 24),
        drop_path_rate=0.1,
        out_indices=(1, 2, 3),
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    ),
    neck=dict(
        type=FPN,
        in_channels=[96, 192, 384],
        out_channels=64,
        start_level=0,
        add_extra_convs='on_input',
        num_outs=5,
    ),
    bbox_head=dict(
        type=RetinaHead,
        num_classes=1,
        in_channels=64,
        stacked_convs=2,
        feat_channels=64,
        anchor_generator=dict(
            type=AnchorGenerator,
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[1.0],
            strides=[8, 16, 32, 64, 128],
        ),
        bbox_coder=dict(
            type=DeltaXYWHBBoxCoder, target_means=[0.0] * 4, target_stds=[1.0, 1.0, 1.0, 1.0]
        ),
        loss_cls=dict(type=FocalLoss, use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type=L1Loss, loss_weight=1.0),
    ),
    train_cfg=dict(
        assigner=dict(
            type=MaxIoUAssigner,
            pos_iou_thr=0.5,
            neg_iou_thr=0.4,
            min_pos_iou=0,
            ignore_iof_thr=-1,
        ),
        sampler=dict(type=PseudoSampler),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type=nms, iou_threshold=0.5),
        max_per_img=100,
    ),
)
val_evaluator.update(metric='bbox')
test_evaluator = val_evaluator
optim_wrapper.update(clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type=CosineAnnealingLR, eta_min=1e-5, by_epoch=True, end=27, convert_to_iter_based=True),
]
default_hooks.update(
    logger=dict(interval=9), checkpoint=dict(interval=27), visualization=visualization
)
randomness = dict(seed=0)
