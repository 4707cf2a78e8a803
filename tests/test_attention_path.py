"""How far it is from a backbone's forward to the softmax, and what one attention is written in."""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mmgab
from mmgab.functional import window_index, window_offsets, window_order
from mmgab.models import SwinGAB, ViTGAB

PACKAGE = Path(mmgab.__file__).parent
BODIES, FILES = 6, 8
SWIN = dict(embed_dims=8, depths=(2,), num_heads=(2,), strides=(4,), out_indices=(0,))
VIT = dict(embed_dims=8, depth=2, num_heads=2, out_indices=(1,), patch_size=4, img_size=28)
METHODS = {
    'plain': dict(gab_cfg=None),
    'Gaussian': {},
    'gates': dict(gpsa_cfg={}),
    'Context Broadcasting': dict(cb_cfg=dict(type='CBG')),
}


def is_ours(frame):
    return PACKAGE in Path(frame.f_code.co_filename).parents


@pytest.fixture
def stacks(monkeypatch):
    """Bodies of this package on the stack of every softmax, innermost first."""
    found = []

    def watched(function):
        def call(*args, **kwargs):
            frame, names = sys._getframe(1), []
            while frame is not None:
                if is_ours(frame):
                    names.append(frame.f_code.co_qualname if sys.version_info >= (3, 11)
                                 else frame.f_code.co_name)  # fmt: skip
                frame = frame.f_back
            found.append(names)
            return function(*args, **kwargs)

        return call

    names = [
        (F, 'scaled_dot_product_attention'),
        (nn.Softmax, 'forward'),
        (torch.Tensor, 'softmax'),
        (torch.Tensor, 'exp_'),  # of the scores, on a CPU
    ]
    for owner, name in names:
        monkeypatch.setattr(owner, name, watched(getattr(owner, name)))
    return found


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('backend', ['auto', 'explicit'])
@pytest.mark.parametrize('kind', [SwinGAB, ViTGAB])
def test_softmax_is_at_most_six_calls_deep(kind, backend, method, stacks):
    sizes = SWIN if kind is SwinGAB else VIT
    network = kind(**sizes, attn_backend=backend, **METHODS[method])
    network(torch.randn(1, 3, 41, 30))
    assert len(stacks) >= 2  # one for each block at least
    for stack in stacks:
        assert stack[-1].endswith('forward')
        assert len(stack) <= BODIES, stack


@pytest.mark.parametrize('is_training', [True, False])
@pytest.mark.parametrize('backend', ['auto', 'explicit'])
@pytest.mark.parametrize('kind', [SwinGAB, ViTGAB])
def test_attention_path_spans_at_most_eight_files(kind, backend, is_training):
    """Whatever runs in it, with nothing remembered from another call."""
    network = kind(**(SWIN if kind is SwinGAB else VIT), attn_backend=backend).train(is_training)
    block = network.stages[0].blocks[1] if kind is SwinGAB else network.blocks[1]
    x = block.norm1(torch.randn(1, 5 * 9, 8))
    for cache in (window_order, window_index, window_offsets):
        cache.cache_clear()
    files = set()

    def profile(frame, event, argument):
        if event == 'call' and is_ours(frame):
            files.add(frame.f_code.co_filename)

    sys.setprofile(profile)
    try:
        block.attn(x, (5, 9)).sum().backward()
    finally:
        sys.setprofile(None)
    assert 2 < len(files) <= FILES, sorted(files)
