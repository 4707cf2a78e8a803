"""The paper's recipe for small sets of images (arXiv 2305.04722, its released code's defaults).

A random 70 / 15 / 15 split, ImageNet weights but for the relative positions, which are drawn anew
with the Gaussian and without; SGD with a rate of 0.01, 200 epochs, cosine; the test accuracy of the
epoch that is best on the validation part. Data: docs/datasets.md; needs mmpretrain.
"""

_base_ = 'mmpretrain::_base_/default_runtime.py'

_dataset = dict(type='CustomDataset', data_prefix='images')
_test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short', backend='pillow', interpolation='bicubic'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackInputs'),
]
_loader = dict(batch_size=64, num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False))

data_preprocessor = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb=True)
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    batch_sampler=dict(type='mmgab.ResumableBatchSampler'),
    dataset=dict(
        **_dataset,
        ann_file='train.txt',
        pipeline=[
            dict(type='mmgab.LoadImage'),
            dict(
                type='RandomResizedCrop', scale=256, crop_ratio_range=(0.8, 1.0), backend='pillow'
            ),
            dict(type='Rotate', angle=15.0, prob=0.5, random_negative_prob=0.5),
            dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs'),
        ],
    ),
)
val_dataloader = dict(
    **_loader, dataset=dict(**_dataset, ann_file='val.txt', pipeline=_test_pipeline)
)
test_dataloader = dict(
    **_loader, dataset=dict(**_dataset, ann_file='test.txt', pipeline=_test_pipeline)
)
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='mmgab.ViTGAB',
        final_norm=False,
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='timm://vit_relpos_small_patch16_224',
            leave_out=r'.*rel_pos\..*',
        ),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', in_channels=384, loss=dict(type='CrossEntropyLoss')),
)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'gaussian': dict(decay_mult=0.0)}),
)
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(by_epoch=True, max_epochs=200, val_interval=1)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    checkpoint=dict(
        type='mmgab.AtomicCheckpointHook', interval=10, max_keep_ckpts=1, save_best='auto'
    )
)
custom_hooks = [dict(type='mmgab.NumericsGuardHook')]
randomness = dict(seed=0)
