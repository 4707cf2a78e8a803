"""36 epochs of COCO with mixed precision: learning rate / 10 after 27 and after 33."""

_base_ = './adamw_swin.py'

optim_wrapper = dict(type='AmpOptimWrapper')
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=36, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', by_epoch=True, begin=0, end=36, milestones=[27, 33], gamma=0.1),
]
# The total batch that lr=1e-4 was chosen for: 8 GPUs x 2 images. Used with --auto-scale-lr.
auto_scale_lr = dict(enable=False, base_batch_size=16)
