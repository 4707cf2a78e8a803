"""UPerNet, ViT-S with the Gaussian bias, ADE20K, 512 x 512, 160,000 iterations.

    tools/dist_train.sh configs/upernet_vit_s_gab_ade20k.py 8
    tools/dist_test.sh configs/upernet_vit_s_gab_ade20k.py CHECKPOINT 8 --tta

Every block sees the whole image, 32 x 32 patches; the pyramid is made of the last map.

Hardware  8 GPUs x 2 images; memory not measured here.
Time      not measured here.
Score     none reported by arXiv 2305.04722 for a plain ViT on ADE20K, and not run here.
Twin      upernet_vit_s_ade20k.py
"""

_base_ = [
    './_base_/upernet.py',
    './_base_/ade20k.py',
    './_base_/ade20k_160k.py',
    './_base_/mmseg_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmgab.ViTGAB',
        embed_dims=384,
        num_heads=6,
        drop_path_rate=0.1,
        # The paper's values: per layer, peak amplitude^2 = 1 logit, width 5 tokens.
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
        init_cfg=dict(type='Pretrained', checkpoint='timm://vit_relpos_small_patch16_224'),
    ),
    neck=dict(type='mmgab.SimpleFeaturePyramid', in_channels=384, out_channels=256),
    decode_head=dict(in_channels=[256] * 4, num_classes=150),
    auxiliary_head=dict(in_channels=256, num_classes=150),
)
