import pytest
import torch
from torch import nn

from mmgab.layers.feed_forward import FeedForward
from mmgab.layers.fused_norms import apply_norm

GELU = dict(type='GELU')


@pytest.mark.parametrize(
    'act_cfg', [GELU, dict(type='GELU', approximate='tanh'), dict(type='ReLU')], ids=str
)
def test_configured_activation_is_used(act_cfg):
    norm, network = nn.LayerNorm(6), FeedForward(6, 15, act_cfg, drop_rate=0.0)
    x = 3 * torch.randn(2, 7, 6)
    normed, expected = apply_norm(norm, x), network.layers(norm(x))
    torch.testing.assert_close(network(normed), expected, atol=1e-6, rtol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(network(normed), expected, atol=1e-6, rtol=1e-6)


def test_dropout_is_random_with_unbiased_mean():
    network, x = FeedForward(6, 15, GELU, drop_rate=0.4), torch.randn(6).expand(4096, 6)
    with torch.no_grad():
        outs, without = network(x), network.eval()(x[0])
    assert (outs.std(dim=0) > 0).all()
    # Five standard errors of the mean of 4096 draws.
    assert ((outs.mean(dim=0) - without).abs() < 5 * outs.std(dim=0) / 64).all()
