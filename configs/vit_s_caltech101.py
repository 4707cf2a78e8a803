"""The twin of vit_s_gab_caltech101.py without the Gaussian: all else the same.

    python tools/dataset_converters/split_classes.py data/caltech101
    python tools/train.py configs/vit_s_caltech101.py

Hardware, time and reported scores: see the twin.
"""

_base_ = './vit_s_gab_caltech101.py'

model = dict(backbone=dict(gab_cfg=None))
