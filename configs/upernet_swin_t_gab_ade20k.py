"""UPerNet, Swin-T with the Gaussian bias, ADE20K, 512 x 512, 160,000 iterations.

    tools/dist_train.sh configs/upernet_swin_t_gab_ade20k.py 8
    tools/dist_test.sh configs/upernet_swin_t_gab_ade20k.py CHECKPOINT 8 --tta

Hardware  8 GPUs x 2 images; the stock zoo reports 5.02 GB for each GPU.
Time      not measured here.
Score     without the Gaussian, mIoU 44.41, 45.79 with --tta: reported by MMSegmentation's zoo
          (swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512), not re-run here.
          With it: none reported.
Baseline  upernet_swin_t_ade20k.py
"""

_base_ = [
    './_base_/upernet.py',
    './_base_/ade20k.py',
    './_base_/ade20k_160k.py',
    './_base_/mmseg_runtime.py',
]

model = dict(
    backbone=dict(
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth',
        ),
    ),
    decode_head=dict(in_channels=[96, 192, 384, 768], num_classes=150),
    auxiliary_head=dict(in_channels=384, num_classes=150),
)
