"""Study: UPerNet with a plain ViT on digit scenes, no method; see docs/study.md.

    python tools/dataset_converters/digit_scenes.py
    python tools/train.py configs/study/upernet_vit_digits.py

A plain ViT of patches of 8 x 8 pixels: every block sees the whole image and has a table of relative
positions. The pyramid has levels of 4 and 8 pixels, as that of the Swin.
"""

_base_ = './upernet_swin_digits.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmgab.ViTGAB',
        img_size=128,
        patch_size=8,
        embed_dims=64,
        depth=4,
        num_heads=4,
        qkv_bias=True,
        rel_pos_cfg=dict(type='table'),
        layer_scale=None,
        out_indices=(3,),
        gab_cfg=None,
    ),
    neck=dict(type='mmgab.SimpleFeaturePyramid', in_channels=64, out_channels=32, scales=(2, 1)),
    decode_head=dict(in_channels=[32, 32]),
)
# It starts more slowly than the Swin.
train_cfg = dict(max_iters=480, val_interval=96)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=1e-5, by_epoch=False, begin=20, end=480),
]
