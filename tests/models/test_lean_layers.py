"""Lean layers compute with the parameters of modules; whoever changed a module must not notice."""

import pytest
import torch
from torch import nn

from mmgab.models.patch_merging import PatchMerging
from mmgab.models.swin_block import SwinBlock

# Every layer that has a lean form, or stands in one.
LAYERS = [
    *('block.norm1', 'block.attn.w_msa.qkv', 'block.attn.w_msa.proj', 'block.norm2'),
    *('block.ffn.layers.0.0', 'block.ffn.layers.0.1', 'block.ffn.layers.1'),
    *('merge.norm', 'merge.reduction'),
]
HOOKS = [
    *('register_forward_hook', 'register_forward_pre_hook'),
    *('register_full_backward_hook', 'register_full_backward_pre_hook'),
]


def block_and_merge():
    block = SwinBlock(8, 2, 12, window_size=(3, 3), shift=True)
    return nn.ModuleDict(dict(block=block, merge=PatchMerging(8, (2, 2), dict(type='LN'))))


def run(modules):
    x = torch.randn(2, 5 * 7, 8, requires_grad=True)
    return modules.merge(modules.block(x, (5, 7)), (5, 7))[0]


@pytest.mark.parametrize('hook', HOOKS)
@pytest.mark.parametrize('layer', LAYERS)
def test_a_hook_on_any_layer_is_called_in_every_training_step(layer, hook):
    modules, calls = block_and_merge(), []
    getattr(modules.get_submodule(layer), hook)(lambda *_: calls.append(True))
    run(modules).sum().backward()
    run(modules).sum().backward()
    assert len(calls) == 2


@pytest.mark.parametrize('layer', LAYERS)
def test_a_hook_on_any_layer_is_called_in_inference(layer):
    modules, calls = block_and_merge().eval(), []
    modules.get_submodule(layer).register_forward_hook(lambda *_: calls.append(True))
    with torch.no_grad():
        run(modules)
    assert len(calls) == 1


@pytest.mark.parametrize('layer', LAYERS)
def test_a_layer_of_another_class_is_called(layer):
    """LoRA and quantisation put subclasses in the place of linear layers."""
    modules, calls = block_and_merge(), []
    original = modules.get_submodule(layer)

    class Own(type(original)):
        def forward(self, x):
            calls.append(True)
            return super().forward(x)

    original.__class__ = Own
    run(modules)
    assert len(calls) == 1
