"""UPerNet on ADE20K with a plain ViT; sizes are left to the configs that inherit.

Every block sees the whole image, 32 x 32 patches; the pyramid is made of the last map.
"""

_base_ = ['./upernet.py', './ade20k.py', './ade20k_160k.py', './mmseg_runtime.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmgab.ViTGAB',
        drop_path_rate=0.1,
        # The paper's values: per layer, peak amplitude^2 = 1 logit, width 5 tokens.
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    ),
    neck=dict(type='mmgab.SimpleFeaturePyramid', out_channels=256),
    decode_head=dict(in_channels=[256] * 4, num_classes=150),
    auxiliary_head=dict(in_channels=256, num_classes=150),
)
