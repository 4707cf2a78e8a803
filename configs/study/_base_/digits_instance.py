"""Digit scenes as instances, ten classes; made by tools/dataset_converters/digit_scenes.py."""

data_root = 'data/digits/'

_colours = [(230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48)]
_colours += [(145, 30, 180), (70, 240, 240), (240, 50, 230), (210, 245, 60), (0, 128, 128)]
_metainfo = dict(classes=tuple('0123456789'), palette=_colours)
_load = dict(type='LoadImageFromFile')
_labels = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
_resize = dict(
    type='Resize', scale=(128, 128), keep_ratio=True
)  # leaves all as it is, notes the scale
_meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')

# Digits are not flipped: a 6 is a 9, and most of the others are nothing then.
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        metainfo=_metainfo,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='images/train/'),
        pipeline=[_load, _labels, dict(type='PackDetInputs')],
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        metainfo=_metainfo,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='images/val/'),
        test_mode=True,
        pipeline=[_load, _resize, _labels, dict(type='PackDetInputs', meta_keys=_meta_keys)],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric',
    ann_file=data_root + 'annotations/instances_val.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
