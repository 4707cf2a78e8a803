"""Mask R-CNN, Swin-T with the Gaussian bias, COCO 2017, 36 epochs.

    tools/dist_train.sh configs/mask_rcnn_swin_t_gab_coco.py 8
    tools/dist_test.sh configs/mask_rcnn_swin_t_gab_coco.py CHECKPOINT 8

Hardware  8 GPUs x 2 images; the stock zoo reports 7.8 GB for each of 8 V100.
Time      not measured here.
Score     without the Gaussian, box / mask AP 46.0 / 41.7: reported by MMDetection's zoo
          (mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco), not re-run here.
          With it: none reported.
Baseline  mask_rcnn_swin_t_coco.py
"""

_base_ = './_base_/mask_rcnn_swin_gab_coco.py'

model = dict(
    backbone=dict(
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth',
        ),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
)
