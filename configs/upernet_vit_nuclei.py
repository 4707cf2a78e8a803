"""Baseline of upernet_vit_gab_nuclei.py: no Gaussian, all other settings equal.

    python tools/dataset_converters/nuclei.py
    python tools/train.py configs/upernet_vit_nuclei.py

Hardware, batch, time and scores: see upernet_vit_gab_nuclei.py.
"""

_base_ = './upernet_vit_gab_nuclei.py'

model = dict(backbone=dict(gab_cfg=None))
