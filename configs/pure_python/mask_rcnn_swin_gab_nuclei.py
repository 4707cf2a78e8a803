# ruff: noqa: F403, F405  bases are read by MMEngine
"""Mask R-CNN as ../mask_rcnn_swin_gab_nuclei.py, with the same settings, in pure Python.

    python tools/dataset_converters/nuclei.py
    python tools/train.py configs/pure_python/mask_rcnn_swin_gab_nuclei.py

Types are classes and bases are imports, so that an editor finds and completes them.
"""

from mmcv.ops import RoIAlign, nms
from mmdet.models import (
    FPN,
    DetDataPreprocessor,
    FCNMaskHead,
    MaskRCNN,
    RPNHead,
    Shared2FCBBoxHead,
    SingleRoIExtractor,
    StandardRoIHead,
)
from mmdet.models.losses import CrossEntropyLoss, L1Loss
from mmdet.models.task_modules import (
    AnchorGenerator,
    DeltaXYWHBBoxCoder,
    MaxIoUAssigner,
    RandomSampler,
)
from mmengine.config import read_base
from mmengine.optim import CosineAnnealingLR, LinearLR

from mmgab.engine import GABMonitorHook
from mmgab.models import SwinGAB

with read_base():
    from ._base_.adamw_swin import *
    from ._base_.nuclei_instance import *
    from ._base_.runtime import *

channels = 64  # of the pyramid and the heads
proposals = dict(
    nms_pre=500, max_per_img=200, nms=dict(type=nms, iou_threshold=0.7), min_bbox_size=0
)

model = dict(
    type=MaskRCNN,
    data_preprocessor=dict(
        type=DetDataPreprocessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type=SwinGAB,
        embed_dims=48,
        depths=(2, 2, 2, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=0.1,
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    ),
    neck=dict(type=FPN, in_channels=[48, 96, 192, 384], out_channels=channels, num_outs=5),
    rpn_head=dict(
        type=RPNHead,
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(
            type=AnchorGenerator, scales=[6], ratios=[1.0], strides=[4, 8, 16, 32, 64]
        ),
        bbox_coder=dict(
            type=DeltaXYWHBBoxCoder, target_means=[0.0] * 4, target_stds=[1.0, 1.0, 1.0, 1.0]
        ),
        loss_cls=dict(type=CrossEntropyLoss, use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(type=L1Loss, loss_weight=1.0),
    ),
    roi_head=dict(
        type=StandardRoIHead,
        bbox_roi_extractor=dict(
            type=SingleRoIExtractor,
            roi_layer=dict(type=RoIAlign, output_size=7, sampling_ratio=1),
            out_channels=channels,
            featmap_strides=[4, 8, 16, 32],
        ),
        bbox_head=dict(
            type=Shared2FCBBoxHead,
            in_channels=channels,
            fc_out_channels=256,
            roi_feat_size=7,
            num_classes=1,
            bbox_coder=dict(
                type=DeltaXYWHBBoxCoder, target_means=[0.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]
            ),
            reg_class_agnostic=False,
            loss_cls=dict(type=CrossEntropyLoss, use_sigmoid=False, loss_weight=1.0),
            loss_bbox=dict(type=L1Loss, loss_weight=1.0),
        ),
        mask_roi_extractor=dict(
            type=SingleRoIExtractor,
            roi_layer=dict(type=RoIAlign, output_size=14, sampling_ratio=0),
            out_channels=channels,
            featmap_strides=[4, 8, 16, 32],
        ),
        mask_head=dict(
            type=FCNMaskHead,
            num_convs=4,
            in_channels=channels,
            conv_out_channels=channels,
            num_classes=1,
            loss_mask=dict(type=CrossEntropyLoss, use_mask=True, loss_weight=1.0),
        ),
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type=MaxIoUAssigner,
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type=RandomSampler,
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=proposals,
        rcnn=dict(
            assigner=dict(
                type=MaxIoUAssigner,
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type=RandomSampler,
                num=64,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            mask_size=28,
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        rpn=proposals,
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type=nms, iou_threshold=0.5),
            max_per_img=100,
            mask_thr_binary=0.5,
        ),
    ),
)
optim_wrapper.update(clip_grad=dict(max_norm=10))
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type=CosineAnnealingLR, eta_min=1e-5, by_epoch=True, end=27, convert_to_iter_based=True),
]
default_hooks.update(
    logger=dict(interval=9), checkpoint=dict(interval=27), visualization=visualization
)
custom_hooks.append(dict(type=GABMonitorHook, interval=9))
randomness = dict(seed=0)
