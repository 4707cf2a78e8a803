"""Baseline of mask_rcnn_swin_t_gab_coco_1x.py: no Gaussian, all other settings equal.

    tools/dist_train.sh configs/mask_rcnn_swin_t_coco_1x.py 8
    tools/dist_test.sh configs/mask_rcnn_swin_t_coco_1x.py CHECKPOINT 8

Hardware, batch, time and reported scores: see mask_rcnn_swin_t_gab_coco_1x.py.
"""

_base_ = './mask_rcnn_swin_t_gab_coco_1x.py'

model = dict(backbone=dict(gab_cfg=None))
