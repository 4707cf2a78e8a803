"""Mask R-CNN on COCO with a plain ViT, 36 epochs; sizes are left to the configs that inherit.

The recipe of the Swin configs beside it; the backbone's form is ViTDet's (arXiv 2203.16527, section
3): windows of 14 x 14 patches, four blocks that see the whole image, a pyramid from the last map.
No norm is decayed, the pyramid's included, as ViTDet's are not. Images are normalised as those that
the weights were trained with, timm's vit_relpos_*: mean and standard deviation 0.5 of 1.
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    './coco_ms_crop.py',
    './coco_3x.py',
    './mmdet_runtime.py',
]

model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(
        _delete_=True,
        type='mmgab.ViTGAB',
        window_size=14,
        global_blocks=(2, 5, 8, 11),
        drop_path_rate=0.1,
        # The paper's values: per layer, peak amplitude^2 = 1 logit, width 5 tokens.
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    ),
    neck=dict(_delete_=True, type='mmgab.SimpleFeaturePyramid', out_channels=256, num_outs=5),
)
optim_wrapper = dict(paramwise_cfg=dict(norm_decay_mult=0.0))
