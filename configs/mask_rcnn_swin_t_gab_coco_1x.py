"""Mask R-CNN, Swin-T with the Gaussian bias, COCO 2017, 12 epochs, one scale, no mixed precision.

    tools/dist_train.sh configs/mask_rcnn_swin_t_gab_coco_1x.py 8
    tools/dist_test.sh configs/mask_rcnn_swin_t_gab_coco_1x.py CHECKPOINT 8

Hardware  8 GPUs x 2 images; the stock zoo reports 7.6 GB for each of 8 V100.
Time      not measured here.
Score     without the Gaussian, box / mask AP 42.7 / 39.3: reported by MMDetection's zoo
          (mask-rcnn_swin-t-p4-w7_fpn_1x_coco), not re-run here. With it: none reported.
Baseline  mask_rcnn_swin_t_coco_1x.py
"""

_base_ = './mask_rcnn_swin_t_gab_coco.py'

optim_wrapper = dict(type='OptimWrapper')
train_cfg = dict(max_epochs=12)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='mmgab.LoadImage'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='Resize', scale=(1333, 800), keep_ratio=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs'),
        ]
    )
)
