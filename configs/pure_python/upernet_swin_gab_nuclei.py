# ruff: noqa: F403, F405  bases are read by MMEngine
"""UPerNet as ../upernet_swin_gab_nuclei.py, with the same settings, in pure Python.

python tools/dataset_converters/nuclei.py
python tools/train.py configs/pure_python/upernet_swin_gab_nuclei.py
"""

from mmcv.transforms import LoadImageFromFile, RandomFlip, Resize, TestTimeAug
from mmengine.config import read_base
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.optim import PolyLR
from mmengine.runner import IterBasedTrainLoop, TestLoop, ValLoop
from mmengine.visualization import LocalVisBackend
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs
from mmseg.engine import SegVisualizationHook
from mmseg.evaluation import IoUMetric
from mmseg.models import (
    CrossEntropyLoss,
    EncoderDecoder,
    FCNHead,
    SegDataPreProcessor,
    SegTTAModel,
    UPerHead,
)
from mmseg.visualization import SegLocalVisualizer

from mmgab.engine import GABMonitorHook
from mmgab.models import SwinGAB

with read_base():
    from ._base_.adamw_swin import *
    from ._base_.runtime import *

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(
        type=SegDataPreProcessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(128, 128),
    ),
    backbone=dict(
        type=SwinGAB,
        embed_dims=32,
        depths=(2, 2, 2, 2),
        num_heads=(2, 4, 8, 16),
        window_size=7,
        drop_path_rate=0.1,
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    ),
    decode_head=dict(
        type=UPerHead,
        in_channels=[32, 64, 128, 256],
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=64,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, use_sigmoid=False, loss_weight=1.0),
    ),
    auxiliary_head=dict(
        type=FCNHead,
        in_channels=128,
        in_index=2,
        channels=64,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=2,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, use_sigmoid=False, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

dataset = dict(
    type=BaseSegDataset,
    data_root='data/nuclei',
    metainfo=dict(classes=('background', 'nucleus'), palette=[(0, 0, 0), (220, 20, 60)]),
    img_suffix='.png',
    seg_map_suffix='.png',
)
load, labels = dict(type=LoadImageFromFile), dict(type=LoadAnnotations)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type=InfiniteSampler, shuffle=True),
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        pipeline=[
            load,
            labels,
            dict(type=RandomFlip, prob=0.75, direction=['horizontal', 'vertical', 'diagonal']),
            dict(type=PackSegInputs),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='images/val', seg_map_path='labels/val'),
        pipeline=[load, labels, dict(type=PackSegInputs)],
    ),
)
test_dataloader = val_dataloader
test_pipeline = val_dataloader['dataset']['pipeline']  # where mmseg.apis looks for it
val_evaluator = dict(type=IoUMetric, iou_metrics=['mIoU'])
test_evaluator = val_evaluator
tta_model = dict(type=SegTTAModel)
tta_pipeline = [
    load,
    dict(
        type=TestTimeAug,
        transforms=[
            [dict(type=Resize, scale_factor=f, keep_ratio=True) for f in (0.75, 1.0, 1.25)],
            [dict(type=RandomFlip, prob=prob, direction='horizontal') for prob in (0.0, 1.0)],
            [labels],
            [dict(type=PackSegInputs)],
        ],
    ),
]

param_scheduler = [dict(type=PolyLR, eta_min=1e-5, power=0.9, by_epoch=False, begin=0, end=100)]
train_cfg = dict(type=IterBasedTrainLoop, max_iters=100, val_interval=100)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
env_cfg.update(cudnn_benchmark=True)
log_processor = dict(by_epoch=False)
visualizer = dict(
    type=SegLocalVisualizer, vis_backends=[dict(type=LocalVisBackend)], name='visualizer'
)
default_hooks.update(
    logger=dict(interval=20, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=100),
    visualization=dict(type=SegVisualizationHook),
)
custom_hooks.append(dict(type=GABMonitorHook, interval=20))
randomness = dict(seed=0)
