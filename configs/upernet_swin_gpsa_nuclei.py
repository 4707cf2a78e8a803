"""Like upernet_swin_gab_nuclei.py, with gated attention (ConViT) in place of the Gaussian.

python tools/dataset_converters/nuclei.py
python tools/train.py configs/upernet_swin_gpsa_nuclei.py
"""

_base_ = './upernet_swin_nuclei.py'

model = dict(backbone=dict(gpsa_cfg=dict()))
