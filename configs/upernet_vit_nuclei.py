"""The twin of upernet_vit_gab_nuclei.py without the Gaussian: all else the same.

    python tools/dataset_converters/nuclei.py
    python tools/train.py configs/upernet_vit_nuclei.py

Hardware, batch, time and scores: see the twin.
"""

_base_ = './upernet_vit_gab_nuclei.py'

model = dict(backbone=dict(gab_cfg=None))
