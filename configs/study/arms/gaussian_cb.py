"""The Gaussian with the paper's start, and Context Broadcasting."""

model = dict(
    backbone=dict(
        gab_cfg=dict(_delete_=True, amplitude=1.0, sigma=5.0, per_head=False),
        cb_cfg=dict(type='CB'),
    )
)
custom_hooks = [dict(type='mmgab.ImageShapesHook')]
