"""The twin of vit_s_gab_cars.py without the Gaussian: all else the same.

    python tools/dataset_converters/split_classes.py data/cars
    python tools/train.py configs/vit_s_cars.py

Hardware, time and reported scores: see the twin.
"""

_base_ = './vit_s_gab_cars.py'

model = dict(backbone=dict(gab_cfg=None))
