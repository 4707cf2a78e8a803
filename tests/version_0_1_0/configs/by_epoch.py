"""A tiny segmentor by epochs, in pure Python: imports from where version 0.1.0 had things."""

from mmcv.transforms import LoadImageFromFile, RandomFlip
from mmengine.dataset import DefaultSampler
from mmengine.hooks import LoggerHook
from mmengine.optim import LinearLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs
from mmseg.models import EncoderDecoder, FCNHead, SegDataPreProcessor
from torch.nn import BatchNorm2d
from torch.optim import AdamW

from mmgab.engine import GABMonitorHook, LabelRangeHook, PatchDiversityHook
from mmgab.models import ViTGAB
from mmgab.reliability import AtomicCheckpointHook, NumericsGuardHook

default_scope = None
model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(type=SegDataPreProcessor, size=(128, 128)),
    backbone=dict(
        type=ViTGAB,
        img_size=(96, 128),
        patch_size=8,
        embed_dims=4,
        depth=1,
        num_heads=2,
        mlp_ratio=1,
        rel_pos_cfg=dict(type='table'),
        layer_scale=0.1,
        window_size=(5, 4),
        out_indices=(0,),
        drop_path_rate=0.2,
    ),
    decode_head=dict(
        type=FCNHead,
        in_channels=4,
        in_index=0,
        channels=4,
        num_convs=1,
        concat_input=False,
        num_classes=2,
        norm_cfg=dict(type=BatchNorm2d),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(
        type=BaseSegDataset,
        data_root='data/nuclei',
        metainfo=dict(classes=('background', 'nucleus'), palette=[(0, 0, 0), (220, 20, 60)]),
        img_suffix='.png',
        seg_map_suffix='.png',
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        indices=4,
        pipeline=[
            dict(type=LoadImageFromFile),
            dict(type=LoadAnnotations),
            dict(type=RandomFlip, prob=0.5),
            dict(type=PackSegInputs),
        ],
    ),
)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=AdamW, lr=0.01))
param_scheduler = [dict(type=LinearLR, start_factor=0.1, by_epoch=False, begin=0, end=4)]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=2)
default_hooks = dict(
    logger=dict(type=LoggerHook, interval=1),
    checkpoint=dict(type=AtomicCheckpointHook, interval=1),
)
custom_hooks = [
    dict(type=GABMonitorHook, interval=1),
    dict(type=LabelRangeHook),
    dict(type=PatchDiversityHook, loss=dict(type='mmgab.PatchDiversityLoss')),
    dict(type=NumericsGuardHook),
]
randomness = dict(seed=0)
