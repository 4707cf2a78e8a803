"""Study: UPerNet on nuclei, the arm without any method; see docs/study.md.

python tools/dataset_converters/nuclei.py
python tools/train.py configs/study/upernet_swin_nuclei.py
"""

_base_ = ['../_base_/nuclei_semantic.py', './_base_/upernet_swin.py']

model = dict(decode_head=dict(num_classes=2))
train_dataloader = dict(batch_size=4)
# After these few iterations it is clearly better than a guess, and not yet as good as it gets.
train_cfg = dict(max_iters=100, val_interval=20)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=20, end=100),
]
