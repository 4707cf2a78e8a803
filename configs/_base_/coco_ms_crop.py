"""COCO 2017 instance segmentation; training images at many scales, half of them cropped first.

Half of the images: shorter side one of 480, 512, ..., 800, longer side at most 1333. The other
half: shorter side 400, 500 or 600, a crop of at most 384 x 600, then as above (the augmentation of
DETR, arXiv 2005.12872, as Swin's detectors are trained).
"""

_base_ = 'mmdet::_base_/datasets/coco_instance.py'

_resize = dict(
    type='RandomChoiceResize',
    scales=[(side, 1333) for side in range(480, 801, 32)],
    keep_ratio=True,
)
_resize_to_crop = dict(
    type='RandomChoiceResize', scales=[(side, 1333) for side in (400, 500, 600)], keep_ratio=True
)
_crop = dict(
    type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True
)
train_dataloader = dict(
    batch_size=2,
    batch_sampler=dict(
        _delete_=True,
        type='mmgab.ResumableBatchSampler',
        batches=dict(type='mmdet.AspectRatioBatchSampler'),
    ),
    dataset=dict(
        pipeline=[
            dict(type='mmgab.LoadImage'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='RandomChoice', transforms=[[_resize], [_resize_to_crop, _crop, _resize]]),
            dict(type='PackDetInputs'),
        ]
    ),
)
