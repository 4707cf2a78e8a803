"""Like upernet_swin_gab_nuclei.py, with Context Broadcasting in place of the Gaussian.

python tools/dataset_converters/nuclei.py
python tools/train.py configs/upernet_swin_cb_nuclei.py
"""

_base_ = './upernet_swin_nuclei.py'

model = dict(backbone=dict(cb_cfg=dict(type='CB')))
custom_hooks = [*_base_.custom_hooks, dict(type='mmgab.ImageShapesHook')]
