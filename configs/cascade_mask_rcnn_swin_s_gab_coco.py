"""Cascade Mask R-CNN, Swin-S with the Gaussian bias, COCO 2017, 36 epochs.

    tools/dist_train.sh configs/cascade_mask_rcnn_swin_s_gab_coco.py 8
    tools/dist_test.sh configs/cascade_mask_rcnn_swin_s_gab_coco.py CHECKPOINT 8

Box heads of four convolutions and one linear layer, SyncBN and a GIoU loss, as Swin's authors train
their cascades.

Hardware  8 GPUs x 2 images.
Time      not measured here.
Score     without the Gaussian, box / mask AP 51.9 / 45.0: reported by Swin's authors
          (Swin-Transformer-Object-Detection), not re-run here. With it: none reported.
Baseline  cascade_mask_rcnn_swin_s_coco.py
"""

_base_ = [
    'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py',
    './_base_/coco_ms_crop.py',
    './_base_/coco_3x.py',
    './_base_/mmdet_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmgab.SwinGAB',
        embed_dims=96,
        depths=(2, 2, 18, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=0.2,
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_small_patch4_window7_224.pth',
        ),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
    roi_head=dict(
        bbox_head=[
            dict(
                type='ConvFCBBoxHead',
                num_shared_convs=4,
                num_shared_fcs=1,
                in_channels=256,
                conv_out_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=80,
                reg_class_agnostic=False,
                reg_decoded_bbox=True,
                norm_cfg=dict(type='SyncBN', requires_grad=True),
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder',
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=target_stds,
                ),
                loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
            )
            # Each stage of the cascade refines finer errors.
            for target_stds in (
                [0.1, 0.1, 0.2, 0.2],
                [0.05, 0.05, 0.1, 0.1],
                [0.033, 0.033, 0.067, 0.067],
            )
        ]
    ),
)
