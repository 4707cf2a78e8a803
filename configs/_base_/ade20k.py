"""ADE20K, 150 classes, crops of 512 x 512; docs/datasets.md has the layout.

Label 0 of the files stands for "other" and becomes the ignored 255 (reduce_zero_label).
"""

data_root = 'data/ade/ADEChallengeData2016'

_load = [dict(type='LoadImageFromFile')]
_load_labels = dict(type='LoadAnnotations', reduce_zero_label=True)
_pack = dict(type='PackSegInputs')

_train_pipeline = [
    dict(type='mmgab.LoadImage'),
    dict(type='mmgab.LoadSegmentation', reduce_zero_label=True),
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(512, 512), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    _pack,
]
# mmseg.apis reads it by this name, test_dataloader what is below.
# The labels are loaded after the resize: a prediction is compared at the original size.
test_pipeline = [
    *_load,
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    _load_labels,
    _pack,
]

train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    batch_sampler=dict(type='mmgab.ResumableBatchSampler'),
    dataset=dict(
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=_train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ADE20KDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    *_load,
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale_factor=factor, keep_ratio=True)
                for factor in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [dict(type='RandomFlip', prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
            [_load_labels],
            [_pack],
        ],
    ),
]
