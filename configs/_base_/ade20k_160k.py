"""160,000 iterations of ADE20K: linear warm-up for 1,500, then linearly down to 0."""

_base_ = './adamw_swin.py'

optim_wrapper = dict(optimizer=dict(lr=6e-5, weight_decay=0.01))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=160000, val_interval=16000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-6, by_epoch=False, begin=0, end=1500),
    dict(type='PolyLR', eta_min=0.0, power=1.0, by_epoch=False, begin=1500, end=160000),
]
# The total batch that lr=6e-5 was chosen for: 8 GPUs x 2 images. Used with --auto-scale-lr.
auto_scale_lr = dict(enable=False, base_batch_size=16)
