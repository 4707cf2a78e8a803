"""Ours, after Context Broadcasting: a learned part of the mean, 0 at the start."""

model = dict(backbone=dict(cb_cfg=dict(type='CBG')))
custom_hooks = [dict(type='mmgab.ImageShapesHook')]
