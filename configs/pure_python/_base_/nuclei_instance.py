"""Nuclei as instances, one class; made by tools/dataset_converters/nuclei.py; enlarged."""

from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, RandomFlip, Resize
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.evaluation import CocoMetric
from mmdet.visualization import DetLocalVisualizer
from mmengine.dataset import DefaultSampler
from mmengine.runner import EpochBasedTrainLoop, LogProcessor, TestLoop, ValLoop
from mmengine.visualization import LocalVisBackend

data_root = 'data/nuclei/'
metainfo = dict(classes=('nucleus',), palette=[(220, 20, 60)])
load = dict(type=LoadImageFromFile)
labels = dict(type=LoadAnnotations, with_bbox=True, with_mask=True)
resize = dict(type=Resize, scale=(192, 192), keep_ratio=True)

train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(
        type=CocoDataset,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='images/train/'),
        pipeline=[
            load,
            labels,
            resize,
            dict(type=RandomFlip, prob=0.75, direction=['horizontal', 'vertical', 'diagonal']),
            dict(type=PackDetInputs),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=CocoDataset,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='images/val/'),
        test_mode=True,
        pipeline=[
            load,
            resize,
            labels,
            dict(
                type=PackDetInputs,
                meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type=CocoMetric,
    ann_file=data_root + 'annotations/instances_val.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator

train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=27, val_interval=27)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
log_processor = dict(type=LogProcessor, window_size=50, by_epoch=True)
visualizer = dict(
    type=DetLocalVisualizer, vis_backends=[dict(type=LocalVisBackend)], name='visualizer'
)
visualization = dict(type=DetVisualizationHook)
