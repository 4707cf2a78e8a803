"""ViT-S/16 with the Gaussian bias on Caltech-101, the paper's recipe; needs mmpretrain.

    python tools/dataset_converters/split_classes.py data/caltech101
    python tools/train.py configs/vit_s_gab_caltech101.py
    python tools/test.py configs/vit_s_gab_caltech101.py work_dirs/vit_s_gab_caltech101/BEST.pth

Hardware  one GPU, 64 images; memory not measured here.
Time      not measured here.
Score     top-1 error 9.798: reported by arXiv 2305.04722. Not re-run here.
Baseline  vit_s_caltech101.py
"""

_base_ = './_base_/small_set.py'

model = dict(head=dict(num_classes=102))
train_dataloader = dict(dataset=dict(data_root='data/caltech101'))
val_dataloader = dict(dataset=dict(data_root='data/caltech101'))
test_dataloader = dict(dataset=dict(data_root='data/caltech101'))
