"""Baseline of vit_s_gab_caltech101.py: no Gaussian, all other settings equal.

    python tools/dataset_converters/split_classes.py data/caltech101
    python tools/train.py configs/vit_s_caltech101.py

Hardware, time and reported scores: see vit_s_gab_caltech101.py.
"""

_base_ = './vit_s_gab_caltech101.py'

model = dict(backbone=dict(gab_cfg=None))
