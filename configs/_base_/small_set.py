"""The paper's recipe for small sets of images (arXiv 2305.04722, its released code's defaults).

A random 70 / 15 / 15 split, ImageNet weights but for the relative positions, which are drawn anew
with the Gaussian and without; SGD with a rate of 0.01 that falls on a cosine from epoch to epoch,
200 epochs; the test accuracy of the epoch that is best on the validation part. Augmentations are
torchvision's, which that code calls. Images are normalised with ImageNet's mean and standard
deviation as there, although the weights were trained with 0.5 and 0.5 of 1. The network is timm's:
the mean over the patches, its norm (fc_norm, with ImageNet weights too), a new linear layer.
Data: docs/datasets.md; needs mmpretrain.
"""

_base_ = 'mmpretrain::_base_/default_runtime.py'

_weights = 'timm://vit_relpos_small_patch16_224'
_dataset = dict(type='CustomDataset', data_prefix='images')
_to_pil = dict(type='NumpyToPIL', to_rgb=True)
_to_numpy = dict(type='PILToNumpy', to_bgr=True)
_test_pipeline = [
    dict(type='LoadImageFromFile'),
    _to_pil,
    dict(type='torchvision/Resize', size=256),
    dict(type='torchvision/CenterCrop', size=224),
    _to_numpy,
    dict(type='PackInputs'),
]
_loader = dict(batch_size=64, num_workers=4, sampler=dict(type='DefaultSampler', shuffle=False))

data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
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
            _to_pil,
            dict(type='torchvision/RandomResizedCrop', size=256, scale=(0.8, 1.0)),
            dict(type='torchvision/RandomRotation', degrees=15),
            dict(type='torchvision/ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4),
            dict(type='torchvision/RandomHorizontalFlip'),
            dict(type='torchvision/CenterCrop', size=224),
            _to_numpy,
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
        init_cfg=dict(type='Pretrained', checkpoint=_weights, leave_out=r'.*rel_pos\..*'),
    ),
    neck=dict(
        type='mmgab.PooledNorm',
        in_channels=384,
        init_cfg=dict(type='Pretrained', checkpoint=_weights),
    ),
    head=dict(
        type='LinearClsHead',
        in_channels=384,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        loss=dict(type='CrossEntropyLoss'),
    ),
)
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys={'gaussian': dict(decay_mult=0.0)}),
)
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=True, T_max=200, end=200)]
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
