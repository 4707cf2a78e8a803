"""Context Broadcasting (arXiv 2210.08457)."""

model = dict(backbone=dict(cb_cfg=dict(type='CB')))
custom_hooks = [dict(type='mmgab.ImageShapesHook')]
