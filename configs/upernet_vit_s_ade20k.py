"""Baseline of upernet_vit_s_gab_ade20k.py: no Gaussian, all other settings equal.

    tools/dist_train.sh configs/upernet_vit_s_ade20k.py 8
    tools/dist_test.sh configs/upernet_vit_s_ade20k.py CHECKPOINT 8

Hardware, batch, time and reported scores: see upernet_vit_s_gab_ade20k.py.
"""

_base_ = './upernet_vit_s_gab_ade20k.py'

model = dict(backbone=dict(gab_cfg=None))
