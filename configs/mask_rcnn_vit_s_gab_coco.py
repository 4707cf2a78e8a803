"""Mask R-CNN, ViT-S with the Gaussian bias, COCO 2017, 36 epochs.

    tools/dist_train.sh configs/mask_rcnn_vit_s_gab_coco.py 8
    tools/dist_test.sh configs/mask_rcnn_vit_s_gab_coco.py CHECKPOINT 8

Hardware  8 GPUs x 2 images; memory not measured here.
Time      not measured here.
Score     none reported by arXiv 2305.04722 for a plain ViT on COCO, and not run here.
Baseline  mask_rcnn_vit_s_coco.py
"""

_base_ = './_base_/mask_rcnn_vit_gab_coco.py'

model = dict(
    backbone=dict(
        embed_dims=384,
        num_heads=6,
        init_cfg=dict(type='Pretrained', checkpoint='timm://vit_relpos_small_patch16_224'),
    ),
    neck=dict(in_channels=384),
)
