"""The twin of cascade_mask_rcnn_swin_s_gab_coco.py without the Gaussian, all else the same.

    tools/dist_train.sh configs/cascade_mask_rcnn_swin_s_coco.py 8
    tools/dist_test.sh configs/cascade_mask_rcnn_swin_s_coco.py CHECKPOINT 8

Hardware, batch, time and reported scores: see the twin.
"""

_base_ = './cascade_mask_rcnn_swin_s_gab_coco.py'

model = dict(backbone=dict(gab_cfg=None))
