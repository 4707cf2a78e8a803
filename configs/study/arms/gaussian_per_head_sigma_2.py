"""The Gaussian (arXiv 2305.04722), one for each head, sigma 2 at the start."""

model = dict(backbone=dict(gab_cfg=dict(_delete_=True, amplitude=1.0, sigma=2.0, per_head=True)))
