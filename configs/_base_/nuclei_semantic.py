"""Nuclei as background and nucleus; made by tools/dataset_converters/nuclei.py."""

data_root = 'data/nuclei'

_dataset = dict(
    type='BaseSegDataset',
    data_root=data_root,
    metainfo=dict(classes=('background', 'nucleus'), palette=[(0, 0, 0), (220, 20, 60)]),
    img_suffix='.png',
    seg_map_suffix='.png',
)
_load = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
test_pipeline = [*_load, dict(type='PackSegInputs')]  # mmseg.apis reads it by this name

train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        **_dataset,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=[
            *_load,
            dict(type='RandomFlip', prob=0.75, direction=['horizontal', 'vertical', 'diagonal']),
            dict(type='PackSegInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **_dataset,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    _load[0],
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale_factor=f, keep_ratio=True) for f in (0.75, 1.0, 1.25)],
            [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
            [_load[1]],
            [dict(type='PackSegInputs')],
        ],
    ),
]
