"""UPerNet, Swin-B with the Gaussian bias, ADE20K, 512 x 512, 160,000 iterations.

    tools/dist_train.sh configs/upernet_swin_b_gab_ade20k.py 8
    tools/dist_test.sh configs/upernet_swin_b_gab_ade20k.py CHECKPOINT 8 --tta

Hardware  8 GPUs x 2 images; the stock zoo reports 7.61 GB for each GPU.
Time      not measured here.
Score     without the Gaussian, mIoU 47.99, 49.57 with --tta: reported by MMSegmentation's zoo
          (swin-base-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512), not re-run here.
          With it: none reported.
Baseline  upernet_swin_b_ade20k.py
"""

_base_ = [
    './_base_/upernet.py',
    './_base_/ade20k.py',
    './_base_/ade20k_160k.py',
    './_base_/mmseg_runtime.py',
]

model = dict(
    backbone=dict(
        embed_dims=128,
        depths=(2, 2, 18, 2),
        num_heads=(4, 8, 16, 32),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_base_patch4_window7_224.pth',
        ),
    ),
    decode_head=dict(in_channels=[128, 256, 512, 1024], num_classes=150),
    auxiliary_head=dict(in_channels=512, num_classes=150),
)
