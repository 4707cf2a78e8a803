"""Baseline of vit_s_gab_cars.py: no Gaussian, all other settings equal.

    python tools/dataset_converters/split_classes.py data/cars
    python tools/train.py configs/vit_s_cars.py

Hardware, time and reported scores: see vit_s_gab_cars.py.
"""

_base_ = './vit_s_gab_cars.py'

model = dict(backbone=dict(gab_cfg=None))
