"""Mask R-CNN on COCO, 36 epochs; the sizes of the backbone are left to the configs that inherit.

The recipe of the stock Swin detectors (MMDetection's
mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco) with the Gaussian of arXiv 2305.04722 in
every window attention.
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    './coco_ms_crop.py',
    './coco_3x.py',
    './mmdet_runtime.py',
]

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmgab.SwinGAB',
        window_size=7,
        drop_path_rate=0.2,
        # The paper's values: per layer, peak amplitude^2 = 1 logit, width 5 tokens.
        gab_cfg=dict(amplitude=1.0, sigma=5.0, per_head=False),
    )
)
