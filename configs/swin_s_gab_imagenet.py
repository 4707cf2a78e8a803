"""Swin-S with the Gaussian bias from the start, ImageNet-1K, 300 epochs; needs mmpretrain.

    tools/dist_train.sh configs/swin_s_gab_imagenet.py 8 --auto-scale-lr
    tools/dist_test.sh configs/swin_s_gab_imagenet.py CHECKPOINT 8

Its checkpoint is what the detectors and segmentors start from, with Gaussians that are trained:
--cfg-options model.backbone.init_cfg.checkpoint=work_dirs/swin_s_gab_imagenet/epoch_300.pth

Hardware  8 GPUs x 64 images; memory not measured here.
Time      not measured here.
Score     none reported for a Swin with the Gaussian on ImageNet, not run here.
Baseline  swin_s_imagenet.py
"""

_base_ = './_base_/imagenet.py'

model = dict(
    backbone=dict(
        type='mmgab.SwinGAB',
        depths=(2, 2, 18, 2),
        drop_path_rate=0.3,
        out_indices=(3,),
        shift_single_window=False,  # the last stage has one window: classifiers do not shift it
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    ),
    head=dict(in_channels=768),
)
