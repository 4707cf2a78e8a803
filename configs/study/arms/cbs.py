"""Context Broadcasting (arXiv 2210.08457) with a scale for each channel."""

model = dict(backbone=dict(cb_cfg=dict(type='CBS')))
custom_hooks = [dict(type='mmgab.ImageShapesHook')]
