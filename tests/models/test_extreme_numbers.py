"""Attention stays finite, with its gradients, at the ends of what half precision can hold."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgab.layers.window_attention import WindowMSA

HEADS, CHANNELS = 2, 16


def attention(backend):
    """Window attention whose scores are what the tokens say: queries and keys are the tokens."""
    module = WindowMSA(
        CHANNELS, HEADS, (3, 4), attn_backend=backend, gab_cfg=dict(amplitude=1.0, sigma=1.0)
    )
    with torch.no_grad():
        module.qkv.weight.copy_(torch.eye(CHANNELS).repeat(3, 1))
        module.qkv.bias.zero_()
    return module


def run(module, score, dtype, amplitude, sigma):
    """Output and gradients, with scores as large as ``score``."""
    with torch.no_grad():
        module.gaussian.amplitude.fill_(amplitude)
        module.gaussian.sigma.fill_(sigma)
    # A token's score with itself is |x|^2 / sqrt(8) in each head of 8 channels.
    size = (score * 8**0.5 / 8) ** 0.5
    signs = torch.randint(0, 2, (2, 5, 7, CHANNELS)) * 2.0 - 1
    tokens = (size * signs).requires_grad_()
    with torch.autocast('cpu', dtype):
        output = module(tokens.flatten(1, 2), (5, 7), (1, 2))
    module.zero_grad()
    output.float().square().mean().backward()
    return output, [tokens.grad, *(parameter.grad for parameter in module.parameters())]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize('backend', ['auto', 'explicit'])
@settings(max_examples=60, deadline=None)
@given(
    score=st.floats(0.01, 1e4),
    amplitude=st.floats(-100, 100),
    sigma=st.floats(-8, 8).map(lambda power: 10**power),
)
def test_extreme_scores_give_finite_gradients(backend, dtype, score, amplitude, sigma):
    torch.manual_seed(0)
    output, gradients = run(attention(backend), score, dtype, amplitude, sigma)
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize('backend', ['auto', 'explicit'])
@pytest.mark.parametrize('amplitude', [300.0, 1e6, 1e15])
def test_overflowing_gaussian_gives_finite_gradients(amplitude, backend, dtype):
    output, gradients = run(attention(backend), 1e4, dtype, amplitude, 5.0)
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
