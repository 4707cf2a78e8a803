"""Gated positional self-attention for a network that was trained without: gates start low."""

model = dict(backbone=dict(gpsa_cfg=dict(gate=-3.0, values='random')))
