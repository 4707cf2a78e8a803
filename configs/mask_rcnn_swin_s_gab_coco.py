"""Mask R-CNN, Swin-S with the Gaussian bias, COCO 2017, 36 epochs.

    tools/dist_train.sh configs/mask_rcnn_swin_s_gab_coco.py 8
    tools/dist_test.sh configs/mask_rcnn_swin_s_gab_coco.py CHECKPOINT 8

Hardware  8 GPUs x 2 images; the stock zoo reports 11.9 GB for each of 8 V100.
Time      not measured here.
Score     box AP 48.23: reported by arXiv 2305.04722 for Swin-S with the Gaussian, a gain of 0.11
          (mask AP: a gain of 0.10); the paper's detector and schedule could not be confirmed.
          Without the Gaussian, box / mask AP 48.2 / 43.2: reported by MMDetection's zoo
          (mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco). Neither is re-run here.
Baseline  mask_rcnn_swin_s_coco.py
"""

_base_ = './_base_/mask_rcnn_swin_gab_coco.py'

model = dict(
    backbone=dict(
        embed_dims=96,
        depths=(2, 2, 18, 2),
        num_heads=(3, 6, 12, 24),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_small_patch4_window7_224.pth',
        ),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
