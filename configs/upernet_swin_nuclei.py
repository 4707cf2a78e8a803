"""The twin of upernet_swin_gab_nuclei.py without the Gaussian: plain Swin, all else the same.

python tools/dataset_converters/nuclei.py
python tools/train.py configs/upernet_swin_nuclei.py
"""

_base_ = './upernet_swin_gab_nuclei.py'

model = dict(backbone=dict(gab_cfg=None))
