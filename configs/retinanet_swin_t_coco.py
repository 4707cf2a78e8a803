"""Baseline of retinanet_swin_t_gab_coco.py: no Gaussian, all other settings equal.

    tools/dist_train.sh configs/retinanet_swin_t_coco.py 8
    tools/dist_test.sh configs/retinanet_swin_t_coco.py CHECKPOINT 8

Hardware, batch, time and reported scores: see retinanet_swin_t_gab_coco.py.
"""

_base_ = './retinanet_swin_t_gab_coco.py'

model = dict(backbone=dict(gab_cfg=None))
