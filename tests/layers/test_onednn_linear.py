"""Linear layers without autograd equal torch's, and choose oneDNN only where it applies."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

from mmgab.layers.feed_forward import FeedForward
from mmgab.layers.fused_norms import apply_linear
from mmgab.layers.onednn_linear import fast_linear

OPERATOR = 'mkldnn::_linear_pointwise'


def operators(run):
    with profile() as found:
        run()
    return {event.key for event in found.key_averages()}


def layer(channels, hidden, dtype=torch.float32, bias=True):
    x = torch.randn(2, 33, channels, dtype=dtype)
    return x, torch.randn(hidden, channels, dtype=dtype), torch.randn(hidden, dtype=dtype) * bias


@torch.no_grad()
@pytest.mark.parametrize('activation', ['none', 'gelu'])
@pytest.mark.parametrize('has_bias', [True, False])
@pytest.mark.parametrize(
    ('dtype', 'channels', 'hidden', 'is_used'),
    [
        (torch.float32, 24, 72, True),
        (torch.bfloat16, 24, 72, False),
        (torch.bfloat16, 256, 320, True),
        (torch.float64, 24, 72, False),
    ],
    ids=str,
)
def test_result_equals_linear_layer(dtype, channels, hidden, is_used, has_bias, activation):
    x, weight, bias = layer(channels, hidden, dtype)
    given = (x, weight, bias if has_bias else None)
    expected = F.linear(*(None if t is None else t.double() for t in given))
    expected = F.gelu(expected) if activation == 'gelu' else expected
    out = fast_linear(*given, activation)
    assert out.dtype == dtype
    tolerance = 1e-5 if dtype != torch.bfloat16 else 1e-2
    torch.testing.assert_close(out.double(), expected, rtol=tolerance, atol=10 * tolerance)
    assert (OPERATOR in operators(lambda: fast_linear(*given, activation))) is is_used


def test_gradients_are_recorded_by_torch():
    x, weight, bias = layer(24, 72)
    weight.requires_grad_()
    out = fast_linear(x, weight, bias, 'gelu')
    (grad,) = torch.autograd.grad(out.sum(), weight)
    (expected,) = torch.autograd.grad(F.gelu(F.linear(x, weight, bias)).sum(), weight)
    torch.testing.assert_close(grad, expected)


@torch.no_grad()
def test_switch_of_torch_turns_onednn_off():
    given = layer(24, 72)
    with torch.backends.mkldnn.flags(enabled=False):
        assert OPERATOR not in operators(lambda: fast_linear(*given))


@torch.no_grad()
def test_flops_are_counted():
    x, weight, bias = layer(24, 72)
    with FlopCounterMode(display=False) as counter:
        fast_linear(x, weight, bias)
    assert counter.get_total_flops() == 2 * 66 * 24 * 72


@torch.no_grad()
def test_autocast_chooses_the_dtype():
    linear, x = nn.Linear(24, 72), torch.randn(2, 33, 24)
    with torch.autocast('cpu', torch.bfloat16):
        assert apply_linear(linear, x).dtype == linear(x).dtype == torch.bfloat16


@torch.no_grad()
@pytest.mark.parametrize('tokens', [0, 1, 63, 64, 65, 200])
def test_chunks_of_tokens_do_not_change_the_feed_forward_network(tokens, monkeypatch):
    monkeypatch.setattr('mmgab.layers.feed_forward._CHUNK_BYTES', 1)
    network = FeedForward(8, 32, dict(type='GELU'), drop_rate=0.0)  # chunks of 8 * 8 tokens
    network.draw_()
    x = torch.randn(1, tokens, 8)
    torch.testing.assert_close(network(x), network.layers(x))
