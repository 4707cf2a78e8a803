"""RetinaNet, Swin-T with the Gaussian bias, COCO 2017, 12 epochs.

    tools/dist_train.sh configs/retinanet_swin_t_gab_coco.py 8
    tools/dist_test.sh configs/retinanet_swin_t_gab_coco.py CHECKPOINT 8

The recipe of MMDetection's retinanet_swin-t-p4-w7_fpn_1x_coco: SGD with a rate of 0.01, 500 steps
of warm-up; amplitude and sigma of the Gaussian are not decayed. One-stage: the pyramid starts at
stride 8, so out_indices leaves stage 0 out. Its output norm is then not built, and no parameter is
unused in distributed training.

Hardware  8 GPUs x 2 images.
Time      not measured here.
Score     none reported, with the Gaussian or without it, by the paper or MMDetection's zoo; not run
          here.
Baseline  retinanet_swin_t_coco.py
"""

_base_ = [
    'mmdet::_base_/models/retinanet_r50_fpn.py',
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    './_base_/mmdet_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmgab.SwinGAB',
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        drop_path_rate=0.2,
        out_indices=(1, 2, 3),
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth',
        ),
    ),
    neck=dict(in_channels=[192, 384, 768], start_level=0),
)
optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(
        custom_keys={
            'gaussian': dict(decay_mult=0.0),
            'broadcast': dict(decay_mult=0.0),
            'local': dict(decay_mult=0.0),
        }
    ),
)
train_dataloader = dict(
    batch_sampler=dict(
        _delete_=True,
        type='mmgab.ResumableBatchSampler',
        batches=dict(type='mmdet.AspectRatioBatchSampler'),
    )
)
