"""Lean layers compute with the parameters of modules; whoever changed a module must not notice."""

import pytest
import torch
from torch import nn

from mmgab.layers.fused_norms import linear_parts
from mmgab.layers.patch_merging import PatchMerging
from mmgab.layers.swin_block import SwinBlock
from mmgab.models import SwinGAB

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
def test_layer_hook_is_called_in_training(layer, hook):
    modules, calls = block_and_merge(), []
    getattr(modules.get_submodule(layer), hook)(lambda *_: calls.append(True))
    run(modules).sum().backward()
    run(modules).sum().backward()
    assert len(calls) == 2


@pytest.mark.parametrize('layer', LAYERS)
def test_layer_hook_is_called_in_inference(layer):
    modules, calls = block_and_merge().eval(), []
    modules.get_submodule(layer).register_forward_hook(lambda *_: calls.append(True))
    with torch.no_grad():
        run(modules)
    assert len(calls) == 1


@pytest.mark.parametrize('layer', LAYERS)
def test_subclassed_layer_is_called(layer):
    """LoRA and quantisation replace linear layers with subclasses."""
    modules, calls = block_and_merge(), []
    original = modules.get_submodule(layer)

    class Own(type(original)):
        def forward(self, x):
            calls.append(True)
            return super().forward(x)

    original.__class__ = Own
    run(modules)
    assert len(calls) == 1


def small():
    return SwinGAB(embed_dims=8, depths=(2, 2), num_heads=(2, 2), out_indices=(0, 1))


@pytest.mark.parametrize('name', ['layers', 'layers.0', 'layers.0.2', 'layers.2'])
def test_container_and_dropout_hooks_are_called(name):
    model, calls = small(), []
    feed_forward = model.stages[0].blocks[0].ffn
    feed_forward.get_submodule(name).register_forward_hook(lambda *args: calls.append(True))
    model(torch.randn(1, 3, 30, 30))
    assert calls


def test_replaced_dropout_is_called():
    model, calls = small(), []

    class Spy(torch.nn.Identity):
        def forward(self, x):
            calls.append(True)
            return x

    model.stages[0].blocks[0].ffn.layers[0][2] = Spy()
    model.stages[0].blocks[1].ffn.layers[2] = Spy()
    model(torch.randn(1, 3, 30, 30))
    assert len(calls) == 2


def test_patched_forward_is_called():
    model, calls = small(), []
    norm = model.stages[0].blocks[0].norm2
    norm.forward = lambda x: calls.append(True) or torch.nn.LayerNorm.forward(norm, x)
    model(torch.randn(1, 3, 30, 30))
    assert calls


def test_global_hook_is_called_for_every_layer():
    model, seen = small(), set()
    handle = torch.nn.modules.module.register_module_forward_hook(lambda m, *rest: seen.add(m))
    try:
        model(torch.randn(1, 3, 30, 30))
    finally:
        handle.remove()
    block = model.stages[0].blocks[0]
    assert {block.norm1, block.norm2, block.attn.w_msa.qkv, *block.ffn.modules()} <= seen


def test_norms_without_parameters_run():
    norm_cfg = dict(type='LN', elementwise_affine=False)
    model = SwinGAB(
        embed_dims=8, depths=(2, 2), num_heads=(2, 2), out_indices=(0, 1), norm_cfg=norm_cfg
    )
    sum(out.sum() for out in model(torch.randn(1, 3, 30, 30))).backward()
    with torch.no_grad():
        model(torch.randn(1, 3, 30, 30))


@pytest.mark.parametrize('bias', [True, False])
def test_linear_parts_equal_chunks(bias):
    linear, x = nn.Linear(6, 12, bias=bias), torch.randn(2, 5, 6)
    for part, expected in zip(linear_parts(x, linear, 3), linear(x).chunk(3, dim=-1), strict=True):
        torch.testing.assert_close(part, expected)


def test_linear_parts_of_modified_layer_are_chunks():
    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    x, doubled, hooked = torch.randn(2, 5, 6), Doubled(6, 12), nn.Linear(6, 12)
    hooked.register_forward_hook(lambda module, inputs, output: output + 1)
    for linear in (doubled, hooked):
        assert torch.equal(torch.cat(linear_parts(x, linear, 3), dim=-1), linear(x))
