"""UPerNet (arXiv 1807.10221) on a Swin with the Gaussian; sizes are left to those that inherit.

Written out rather than inherited: 'mmseg::' bases are not found under the maintained line's package
name unless MMEngine is told so, and these configs are to work with the stock tools too.
"""

norm_cfg = dict(type='SyncBN', requires_grad=True)
_loss = dict(type='CrossEntropyLoss', use_sigmoid=False)

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),
    ),
    backbone=dict(
        type='mmgab.SwinGAB',
        window_size=7,
        drop_path_rate=0.3,
        # The paper's values: per layer, peak amplitude^2 = 1 logit, width 5 tokens.
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    ),
    decode_head=dict(
        type='UPerHead',
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=512,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(loss_weight=1.0, **_loss),
    ),
    auxiliary_head=dict(
        type='FCNHead',
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(loss_weight=0.4, **_loss),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
