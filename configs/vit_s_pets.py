"""Baseline of vit_s_gab_pets.py: no Gaussian, all other settings equal.

    python tools/dataset_converters/split_classes.py data/pets --by-name
    python tools/train.py configs/vit_s_pets.py

Hardware, time and reported scores: see vit_s_gab_pets.py.
"""

_base_ = './vit_s_gab_pets.py'

model = dict(backbone=dict(gab_cfg=None))
