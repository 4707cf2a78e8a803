"""Baseline of vit_s_gab_dogs.py: no Gaussian, all other settings equal.

    python tools/dataset_converters/split_classes.py data/dogs
    python tools/train.py configs/vit_s_dogs.py

Hardware, time and reported scores: see vit_s_gab_dogs.py.
"""

_base_ = './vit_s_gab_dogs.py'

model = dict(backbone=dict(gab_cfg=None))
