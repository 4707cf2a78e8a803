"""Baseline of mask_rcnn_swin_gab_nuclei.py: no Gaussian, all other settings equal.

python tools/dataset_converters/nuclei.py
python tools/train.py configs/mask_rcnn_swin_nuclei.py
"""

_base_ = './mask_rcnn_swin_gab_nuclei.py'

model = dict(backbone=dict(gab_cfg=None))
