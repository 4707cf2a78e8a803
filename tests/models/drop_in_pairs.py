"""Pairs of networks with the same weights: MMDetection's Swin and ours; and a small ViT of ours."""

import functools

import torch
from mmdet.models.backbones.swin import SwinTransformer
from torch import nn

from mmgab.models import SwinGAB, ViTGAB

SIZES = dict(
    embed_dims=16,
    depths=(2, 2),
    num_heads=(2, 4),
    strides=(4, 2),
    out_indices=(0, 1),
    window_size=4,
    drop_path_rate=0.0,
)
VIT_SIZES = dict(
    embed_dims=16, depth=2, num_heads=2, img_size=48, out_indices=(1,), layer_scale=1.0,
    window_size=(2, 3), global_blocks=(1,), rel_pos_cfg=dict(type='table'),
)  # fmt: skip


class Stock(SwinTransformer):
    """MMDetection's Swin; its ``train`` returns nothing, where every module returns itself."""

    def train(self, mode=True):
        super().train(mode)
        return self


def image(batch=2):
    """Images of 13 x 18 tokens: of windows of 4 some stick out, below and on the right."""
    generator = torch.Generator().manual_seed(5)
    return torch.randn(batch, 3, 50, 70, generator=generator)


@functools.cache
def _weights():
    model = Stock(**SIZES)
    generator = torch.Generator().manual_seed(6)
    for name, parameter in model.named_parameters():
        is_matrix = parameter.ndim > 1 and 'table' not in name
        std = parameter[0].numel() ** -0.5 if is_matrix else 0.5
        nn.init.normal_(parameter, std=std, generator=generator)
    return model.state_dict()


def stock(**arguments):
    """MMDetection's Swin."""
    model = Stock(**{**SIZES, **arguments})
    model.load_state_dict(_weights())
    return model


def ours(**arguments):
    """SwinGAB without Gaussians: the same function, the same parameters in the same order."""
    model = SwinGAB(**{**SIZES, 'gab_cfg': None, **arguments})
    model.load_state_dict(_weights())
    return model


def vit(**arguments):
    """A ViTGAB, for what has to run; it always has the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return ViTGAB(**{**VIT_SIZES, **arguments})


def loss(outs):
    """A number that all outputs have part in."""
    return sum(out.square().mean() for out in outs)


def projections(model):
    """Every attention of a network, by its queries, keys and values."""
    return [module for module in model.modules() if hasattr(module, 'qkv')]


def assert_same(ours, theirs):
    """Whether two trees hold the same numbers."""
    ours, theirs = (torch.utils._pytree.tree_leaves(tree) for tree in (ours, theirs))
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
