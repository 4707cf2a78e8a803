"""UPerNet, ViT-S with the Gaussian bias, ADE20K, 512 x 512, 160,000 iterations.

    tools/dist_train.sh configs/upernet_vit_s_gab_ade20k.py 8
    tools/dist_test.sh configs/upernet_vit_s_gab_ade20k.py CHECKPOINT 8 --tta

Hardware  8 GPUs x 2 images; memory not measured here.
Time      not measured here.
Score     none reported by arXiv 2305.04722 for a plain ViT on ADE20K, and not run here.
Baseline  upernet_vit_s_ade20k.py
"""

_base_ = './_base_/upernet_vit_gab_ade20k.py'

model = dict(
    backbone=dict(
        embed_dims=384,
        num_heads=6,
        init_cfg=dict(type='Pretrained', checkpoint='timm://vit_relpos_small_patch16_224'),
    ),
    neck=dict(in_channels=384),
)
