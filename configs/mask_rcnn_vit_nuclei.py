"""The twin of mask_rcnn_vit_gab_nuclei.py without the Gaussian: all else the same.

    python tools/dataset_converters/nuclei.py
    python tools/train.py configs/mask_rcnn_vit_nuclei.py

Hardware, batch, time and scores: see the twin.
"""

_base_ = './mask_rcnn_vit_gab_nuclei.py'

model = dict(backbone=dict(gab_cfg=None))
