"""Gated positional self-attention (arXiv 2103.10697) in every window, as from scratch."""

model = dict(backbone=dict(gpsa_cfg=dict()))
