"""ViT-S/16 with the Gaussian bias on Stanford Cars, the paper's recipe; needs mmpretrain.

    python tools/dataset_converters/split_classes.py data/cars
    python tools/train.py configs/vit_s_gab_cars.py
    python tools/test.py configs/vit_s_gab_cars.py work_dirs/vit_s_gab_cars/BEST.pth

Hardware  one GPU, 64 images; memory not measured here.
Time      not measured here.
Score     none reported for ViT-S by what could be read of arXiv 2305.04722, and not run
          here.
Baseline  vit_s_cars.py
"""

_base_ = './_base_/small_set.py'

model = dict(head=dict(num_classes=196))
train_dataloader = dict(dataset=dict(data_root='data/cars'))
val_dataloader = dict(dataset=dict(data_root='data/cars'))
test_dataloader = dict(dataset=dict(data_root='data/cars'))
