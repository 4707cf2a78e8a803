# ruff: noqa: F403, F405  bases are read by MMEngine
"""A classifier: Swin-T with the Gaussian bias, from ImageNet weights, in pure Python.

    python tools/dataset_converters/split_classes.py data/pets --by-name
    python tools/train.py configs/pure_python/swin_t_gab_pets.py

Score     not measured: an example of the form; ../vit_s_gab_pets.py has the paper's recipe.
"""

from mmcv.transforms import CenterCrop, LoadImageFromFile, RandomFlip
from mmengine.config import read_base
from mmengine.dataset import DefaultSampler
from mmengine.model import PretrainedInit
from mmengine.optim import CosineAnnealingLR
from mmengine.runner import EpochBasedTrainLoop, LogProcessor, TestLoop, ValLoop
from mmengine.visualization import LocalVisBackend
from mmpretrain.datasets import CustomDataset, PackInputs, RandomResizedCrop, ResizeEdge
from mmpretrain.engine import VisualizationHook
from mmpretrain.evaluation import Accuracy
from mmpretrain.models import (
    ClsDataPreprocessor,
    CrossEntropyLoss,
    GlobalAveragePooling,
    ImageClassifier,
    LinearClsHead,
)
from mmpretrain.visualization import UniversalVisualizer

from mmgab.models import SwinGAB

with read_base():
    from ._base_.adamw_swin import *
    from ._base_.runtime import *

data_preprocessor = dict(
    type=ClsDataPreprocessor,
    num_classes=37,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
model = dict(
    type=ImageClassifier,
    backbone=dict(
        type=SwinGAB,
        out_indices=(3,),
        drop_path_rate=0.1,
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
        init_cfg=dict(
            type=PretrainedInit,
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth',
        ),
    ),
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=LinearClsHead, num_classes=37, in_channels=768, loss=dict(type=CrossEntropyLoss)
    ),
)

dataset = dict(type=CustomDataset, data_root='data/pets', data_prefix='images')
load = dict(type=LoadImageFromFile)
train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(
        **dataset,
        ann_file='train.txt',
        pipeline=[
            load,
            dict(type=RandomResizedCrop, scale=224, backend='pillow'),
            dict(type=RandomFlip, prob=0.5, direction='horizontal'),
            dict(type=PackInputs),
        ],
    ),
)
test_pipeline = [
    load,
    dict(type=ResizeEdge, scale=256, edge='short', backend='pillow'),
    dict(type=CenterCrop, crop_size=224),
    dict(type=PackInputs),
]
loader = dict(batch_size=64, num_workers=4, sampler=dict(type=DefaultSampler, shuffle=False))
val_dataloader = dict(**loader, dataset=dict(**dataset, ann_file='val.txt', pipeline=test_pipeline))
test_dataloader = dict(
    **loader, dataset=dict(**dataset, ann_file='test.txt', pipeline=test_pipeline)
)
val_evaluator = dict(type=Accuracy, topk=(1,))
test_evaluator = val_evaluator

optim_wrapper['optimizer'].update(lr=1e-4)
param_scheduler = [dict(type=CosineAnnealingLR, by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=30, val_interval=1)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
log_processor = dict(type=LogProcessor, window_size=10, by_epoch=True)
visualizer = dict(
    type=UniversalVisualizer, vis_backends=[dict(type=LocalVisBackend)], name='visualizer'
)
default_hooks.update(visualization=dict(type=VisualizationHook))
randomness = dict(seed=0)
