"""UPerNet on ADE20K with a plain ViT; sizes are left to the configs that inherit.

Every block sees the whole crop, 32 x 32 patches; the pyramid is made of the last map. Images are
tested in crops of that size that overlap, as MMSegmentation tests its plain ViTs with relative
positions (MAE, BEiT), and normalised as those that the weights were trained with, timm's
vit_relpos_*: mean and standard deviation 0.5 of 1. Norms of the pyramid are not decayed, BatchNorms
of the heads are, as in the stock recipes.
"""

_base_ = ['./upernet.py', './ade20k.py', './ade20k_160k.py', './mmseg_runtime.py']

model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
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
    test_cfg=dict(mode='slide', crop_size=(512, 512), stride=(341, 341)),
)
optim_wrapper = dict(
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            'decode_head': dict(decay_mult=1.0),
            'auxiliary_head': dict(decay_mult=1.0),
        },
    )
)
