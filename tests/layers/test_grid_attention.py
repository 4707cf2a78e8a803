"""Attention of a plain ViT: fused and unfused, global and in windows, for all kinds of bias."""

import pytest
import torch
from torch import nn

from mmgab.layers.grid_attention import GridMSA

GRID = (9, 31)  # two tiles of queries
KINDS = {
    'no bias': {},
    'Gaussian': dict(gab_cfg={}),
    'Gaussian per head': dict(gab_cfg=dict(per_head=True)),
    'table': dict(rel_pos_cfg=dict(type='table'), gab_cfg={}),
    'resized table': dict(rel_pos_cfg=dict(type='table'), grid_size=(4, 5)),
    'MLP': dict(rel_pos_cfg=dict(type='mlp', hidden=8), gab_cfg={}),
    'gates': dict(rel_pos_cfg=dict(type='table'), gab_cfg={}, gpsa_cfg={}),
    'gates alone': dict(gpsa_cfg={}),
}


def attention(**arguments):
    torch.manual_seed(0)
    layer = GridMSA(**{**dict(embed_dims=12, num_heads=3, grid_size=GRID), **arguments})
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer.double().eval()


def output_and_gradients(layer):
    torch.manual_seed(1)
    x = torch.randn(2, GRID[0] * GRID[1], 12, dtype=torch.float64, requires_grad=True)
    out = layer(x, GRID)
    inputs = (x, *layer.parameters())
    return out, *torch.autograd.grad(out.square().sum(), inputs, materialize_grads=True)


@pytest.mark.parametrize('window', [None, (4, 5)], ids=['global', 'windows'])
@pytest.mark.parametrize('kind', KINDS)
def test_fused_attention_equals_unfused(kind, window):
    arguments = dict(KINDS[kind], window_size=window)
    fused, unfused = (
        output_and_gradients(attention(attn_backend=backend, **arguments))
        for backend in ('auto', 'explicit')
    )
    for ours, expected in zip(fused, unfused, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize('kind', KINDS)
def test_global_attention_is_tiled(kind):
    layer = attention(**KINDS[kind])
    assert layer.is_tiled
    assert layer.is_fused
    assert not attention(attn_backend='explicit', **KINDS[kind]).is_tiled
    assert not attention(window_size=(3, 3), **KINDS[kind]).is_tiled


class DistanceOfPairs(GridMSA):
    """A bias that is not a table of offsets."""

    def position_bias(self, window_size=None, like=None):
        tokens = torch.arange(window_size[0] * window_size[1], dtype=like.dtype)
        return tokens.outer(tokens).div(len(tokens) ** 2).expand(self.num_heads, -1, -1)


def test_bias_that_is_no_table_is_used():
    results = []
    for backend in ('auto', 'explicit'):
        torch.manual_seed(0)
        layer = DistanceOfPairs(12, 3, GRID, attn_backend=backend).double()
        assert not layer.is_tiled
        results.append(output_and_gradients(layer)[0])
    torch.testing.assert_close(*results)
    assert not torch.allclose(results[0], output_and_gradients(attention())[0])


def test_hooks_on_attention_weights_are_called():
    layer = attention(**KINDS['gates'])
    seen = []
    layer.attn_drop.register_forward_hook(lambda module, args, out: seen.append(out.shape))
    output_and_gradients(layer)
    assert seen == [(2, 3, GRID[0] * GRID[1], GRID[0] * GRID[1])]
