custom_hooks = [
    dict(interval=1, type='mmgab.engine.GABMonitorHook'),
    dict(type='mmgab.engine.LabelRangeHook'),
    dict(
        loss=dict(type='mmgab.PatchDiversityLoss'),
        type='mmgab.engine.PatchDiversityHook'),
    dict(type='mmgab.reliability.NumericsGuardHook'),
]
default_hooks = dict(
    checkpoint=dict(interval=1, type='mmgab.reliability.AtomicCheckpointHook'),
    logger=dict(interval=1, type='mmengine.hooks.LoggerHook'))
default_scope = None
launcher = 'none'
model = dict(
    backbone=dict(
        depth=1,
        drop_path_rate=0.2,
        embed_dims=4,
        img_size=(
            96,
            128,
        ),
        layer_scale=0.1,
        mlp_ratio=1,
        num_heads=2,
        out_indices=(0, ),
        patch_size=8,
        rel_pos_cfg=dict(type='table'),
        type='mmgab.models.ViTGAB',
        window_size=(
            5,
            4,
        )),
    data_preprocessor=dict(
        size=(
            128,
            128,
        ), type='mmseg.models.SegDataPreProcessor'),
    decode_head=dict(
        channels=4,
        concat_input=False,
        in_channels=4,
        in_index=0,
        norm_cfg=dict(type='torch.nn.BatchNorm2d'),
        num_classes=2,
        num_convs=1,
        type='mmseg.models.FCNHead'),
    test_cfg=dict(mode='whole'),
    train_cfg=dict(),
    type='mmseg.models.EncoderDecoder')
optim_wrapper = dict(
    optimizer=dict(lr=0.01, type='torch.optim.AdamW'),
    type='mmengine.optim.OptimWrapper')
param_scheduler = [
    dict(
        begin=0,
        by_epoch=False,
        end=4,
        start_factor=0.1,
        type='mmengine.optim.LinearLR'),
]
randomness = dict(seed=0)
train_cfg = dict(max_epochs=2, type='mmengine.runner.EpochBasedTrainLoop')
train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        data_root='data/nuclei',
        img_suffix='.png',
        indices=4,
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
            dict(type='mmcv.transforms.LoadImageFromFile'),
            dict(type='mmseg.datasets.transforms.LoadAnnotations'),
            dict(prob=0.5, type='mmcv.transforms.RandomFlip'),
            dict(type='mmseg.datasets.transforms.PackSegInputs'),
        ],
        seg_map_suffix='.png',
        type='mmseg.datasets.BaseSegDataset'),
    num_workers=0,
    sampler=dict(shuffle=True, type='mmengine.dataset.DefaultSampler'))
work_dir = 'work_dirs/by_epoch'
