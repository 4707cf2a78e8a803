"""ImageNet-1K for a backbone that is trained WITH the Gaussian from the start; needs mmpretrain.

Data, schedule (300 epochs of AdamW) and augmentation are mmpretrain's for Swin and for DeiT, which
clip gradients at 5. The paper's own recipe for ImageNet (arXiv 2305.04722) could not be found.
"""

_base_ = [
    'mmpretrain::_base_/datasets/imagenet_bs64_swin_224.py',
    'mmpretrain::_base_/schedules/imagenet_bs1024_adamw_swin.py',
    'mmpretrain::_base_/default_runtime.py',
]

model = dict(
    type='ImageClassifier',
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02, bias=0.0),
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        cal_acc=False,
    ),
    train_cfg=dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]),
)
# Norms, biases and all else of one dimension are not decayed by that schedule's own rules.
optim_wrapper = dict(
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(
        custom_keys={'.local.': dict(decay_mult=0.0), 'pos_embed': dict(decay_mult=0.0)}
    ),
)
train_dataloader = dict(batch_sampler=dict(type='mmgab.ResumableBatchSampler'))
default_hooks = dict(checkpoint=dict(type='mmgab.AtomicCheckpointHook'))
custom_hooks = [dict(type='mmgab.NumericsGuardHook')]
