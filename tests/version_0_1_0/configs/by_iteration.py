"""A tiny segmentor by iterations, as text: types by the dotted names of version 0.1.0."""

default_scope = 'mmseg'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(128, 128)),
    backbone=dict(
        type='mmgab.SwinGAB',
        embed_dims=4,
        depths=(1, 1),
        num_heads=(1, 2),
        strides=(4, 2),
        out_indices=(1,),
        window_size=(5, 4),
        mlp_ratio=1,
        drop_path_rate=0.2,
        gab_cfg=dict(per_head=True),
        cb_cfg=dict(type='CBS'),
        gpsa_cfg=dict(stages=(1,)),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=8,
        in_index=0,
        channels=4,
        num_convs=1,
        concat_input=False,
        num_classes=2,
        norm_cfg=dict(type='BN'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

_dataset = dict(
    type='BaseSegDataset',
    data_root='data/nuclei',
    metainfo=dict(classes=('background', 'nucleus'), palette=[(0, 0, 0), (220, 20, 60)]),
    img_suffix='.png',
    seg_map_suffix='.png',
)
_load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **_dataset,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=[*_load, dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')],
    ),
)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'gaussian': dict(decay_mult=0.0)}),
)
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, by_epoch=False, begin=0, end=4)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=100)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
    checkpoint=dict(type='mmgab.reliability.AtomicCheckpointHook', by_epoch=False, interval=2),
)
custom_hooks = [
    dict(type='mmgab.engine.GABMonitorHook', interval=1),
    dict(type='mmgab.engine.LabelRangeHook'),
    dict(type='mmgab.reliability.NumericsGuardHook'),
]
log_processor = dict(by_epoch=False)
randomness = dict(seed=0)
