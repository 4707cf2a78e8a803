"""Baseline of mask_rcnn_vit_gab_nuclei.py: no Gaussian, all other settings equal.

    python tools/dataset_converters/nuclei.py
    python tools/train.py configs/mask_rcnn_vit_nuclei.py

Hardware, batch, time and scores: see mask_rcnn_vit_gab_nuclei.py.
"""

_base_ = './mask_rcnn_vit_gab_nuclei.py'

model = dict(backbone=dict(gab_cfg=None))
