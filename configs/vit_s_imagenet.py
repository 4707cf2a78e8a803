"""Baseline of vit_s_gab_imagenet.py: no Gaussian, all other settings equal.

    tools/dist_train.sh configs/vit_s_imagenet.py 8 --auto-scale-lr
    tools/dist_test.sh configs/vit_s_imagenet.py CHECKPOINT 8

Hardware, batch, time and reported scores: see vit_s_gab_imagenet.py.
"""

_base_ = './vit_s_gab_imagenet.py'

model = dict(backbone=dict(gab_cfg=None))
