_dataset = dict(
    data_root='data/nuclei',
    img_suffix='.png',
    metainfo=dict(
        classes=(
            'background',
            'nucleus',
        ),
        palette=[
            (
                0,
                0,
                0,
            ),
            (
                220,
                20,
                60,
            ),
        ]),
    seg_map_suffix='.png',
    type='BaseSegDataset')
_load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
]
custom_hooks = [
    dict(interval=1, type='mmgab.engine.GABMonitorHook'),
    dict(type='mmgab.engine.LabelRangeHook'),
    dict(type='mmgab.reliability.NumericsGuardHook'),
]
default_hooks = dict(
    checkpoint=dict(
        by_epoch=False,
        interval=2,
        type='mmgab.reliability.AtomicCheckpointHook'),
    logger=dict(interval=1, log_metric_by_epoch=False, type='LoggerHook'))
default_scope = 'mmseg'
launcher = 'none'
log_processor = dict(by_epoch=False)
model = dict(
    backbone=dict(
        cb_cfg=dict(type='CBS'),
        depths=(
            1,
            1,
        ),
        drop_path_rate=0.2,
        embed_dims=4,
        gab_cfg=dict(per_head=True),
        gpsa_cfg=dict(stages=(1, )),
        mlp_ratio=1,
        num_heads=(
            1,
            2,
        ),
        out_indices=(1, ),
        strides=(
            4,
            2,
        ),
        type='mmgab.SwinGAB',
        window_size=(
            5,
            4,
        )),
    data_preprocessor=dict(size=(
        128,
        128,
    ), type='SegDataPreProcessor'),
    decode_head=dict(
        channels=4,
        concat_input=False,
        in_channels=8,
        in_index=0,
        norm_cfg=dict(type='BN'),
        num_classes=2,
        num_convs=1,
        type='FCNHead'),
    test_cfg=dict(mode='whole'),
    train_cfg=dict(),
    type='EncoderDecoder')
optim_wrapper = dict(
    optimizer=dict(lr=0.01, momentum=0.9, type='SGD', weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(gaussian=dict(decay_mult=0.0))),
    type='OptimWrapper')
param_scheduler = [
    dict(
        begin=0,
        by_epoch=False,
        end=4,
        eta_min=0.0001,
        power=0.9,
        type='PolyLR'),
]
randomness = dict(seed=0)
train_cfg = dict(max_iters=4, type='IterBasedTrainLoop', val_interval=100)
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        data_root='data/nuclei',
        img_suffix='.png',
        metainfo=dict(
            classes=(
                'background',
                'nucleus',
            ),
            palette=[
                (
                    0,
                    0,
                    0,
                ),
                (
                    220,
                    20,
                    60,
                ),
            ]),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations'),
            dict(prob=0.5, type='RandomFlip'),
            dict(type='PackSegInputs'),
        ],
        seg_map_suffix='.png',
        type='BaseSegDataset'),
    num_workers=0,
    sampler=dict(shuffle=True, type='InfiniteSampler'))
work_dir = 'work_dirs/by_iteration'
