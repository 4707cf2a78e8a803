"""Baseline of cascade_mask_rcnn_swin_s_gab_coco.py: no Gaussian, all other settings equal.

    tools/dist_train.sh configs/cascade_mask_rcnn_swin_s_coco.py 8
    tools/dist_test.sh configs/cascade_mask_rcnn_swin_s_coco.py CHECKPOINT 8

Hardware, batch, time and reported scores: see cascade_mask_rcnn_swin_s_gab_coco.py.
"""

_base_ = './cascade_mask_rcnn_swin_s_gab_coco.py'

model = dict(backbone=dict(gab_cfg=None))
