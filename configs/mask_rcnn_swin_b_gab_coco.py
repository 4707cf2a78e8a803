"""Mask R-CNN, Swin-B with the Gaussian bias, COCO 2017, 36 epochs.

    tools/dist_train.sh configs/mask_rcnn_swin_b_gab_coco.py 8
    tools/dist_test.sh configs/mask_rcnn_swin_b_gab_coco.py CHECKPOINT 8

Hardware  8 GPUs x 2 images.
Time      not measured here.
Score     none reported, with the Gaussian or without it, by the paper, MMDetection's zoo or Swin's
          authors (who report Cascade Mask R-CNN for Swin-B); not run here.
Baseline  mask_rcnn_swin_b_coco.py
"""

_base_ = './_base_/mask_rcnn_swin_gab_coco.py'

model = dict(
    backbone=dict(
        embed_dims=128,
        depths=(2, 2, 18, 2),
        num_heads=(4, 8, 16, 32),
        drop_path_rate=0.3,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_base_patch4_window7_224.pth',
        ),
    ),
    neck=dict(in_channels=[128, 256, 512, 1024]),
)
