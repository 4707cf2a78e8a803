"""ViT-S/16 with the Gaussian bias on Oxford-IIIT Pet, the paper's recipe; needs mmpretrain.

    python tools/dataset_converters/split_classes.py data/pets --by-name
    python tools/train.py configs/vit_s_gab_pets.py
    python tools/test.py configs/vit_s_gab_pets.py work_dirs/vit_s_gab_pets/BEST.pth

Hardware  one GPU, 64 images; memory not measured here.
Time      not measured here.
Score     arXiv 2305.04722 says that it improves; none reported in figures, and not run
          here.
Baseline  vit_s_pets.py
"""

_base_ = './_base_/small_set.py'

model = dict(head=dict(num_classes=37))
train_dataloader = dict(dataset=dict(data_root='data/pets'))
val_dataloader = dict(dataset=dict(data_root='data/pets'))
test_dataloader = dict(dataset=dict(data_root='data/pets'))
