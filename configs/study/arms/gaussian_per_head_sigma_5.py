"""The Gaussian (arXiv 2305.04722), one for each head, sigma 5 at the start."""

model = dict(backbone=dict(gab_cfg=dict(_delete_=True, amplitude=1.0, sigma=5.0, per_head=True)))
