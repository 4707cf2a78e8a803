"""Baseline of mask_rcnn_swin_b_gab_coco.py: no Gaussian, all other settings equal.

    tools/dist_train.sh configs/mask_rcnn_swin_b_coco.py 8
    tools/dist_test.sh configs/mask_rcnn_swin_b_coco.py CHECKPOINT 8

Hardware, batch, time and reported scores: see mask_rcnn_swin_b_gab_coco.py.
"""

_base_ = './mask_rcnn_swin_b_gab_coco.py'

model = dict(backbone=dict(gab_cfg=None))
