"""Autocast, wrappers, hooks and parts of the stock Swin around our modules and in their places."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

from .drop_in_pairs import assert_same, image, loss, ours, projections, stock, vit


def blocks(model):
    return [block for stage in model.stages for block in stage.blocks]


def results(make, change, **arguments):
    """Outputs and gradients of a changed network."""
    model = make(**arguments)
    change(model)
    outs = model(image())
    loss(outs).backward()
    return [outs, [p.grad for p in model.parameters() if p.grad is not None]]


def wrap_feed_forward(model):
    for block in blocks(model):
        block.ffn = checkpoint_wrapper(block.ffn)


def wrap_attention(model):
    for block in blocks(model):
        block.attn = checkpoint_wrapper(block.attn)


def compile_feed_forward(model):
    torch._dynamo.reset()
    block = blocks(model)[0]
    block.ffn = torch.compile(block.ffn, backend='eager')


def change_input_unseen(model):
    """By ``data``, which no version counter notices."""

    def hook(module, inputs):
        inputs[0].data.mul_(1.5)

    for block in blocks(model):
        block.attn.register_forward_pre_hook(hook)
        block.ffn.register_forward_pre_hook(hook)


CHANGES = {
    'feed-forward networks checkpointed': (wrap_feed_forward, {}),
    'feed-forward networks checkpointed twice': (wrap_feed_forward, dict(with_cp=True)),
    'attention checkpointed twice': (wrap_attention, dict(with_cp=True)),
    'a feed-forward network compiled': (compile_feed_forward, {}),
    'hooks that change their input': (change_input_unseen, {}),
}


@pytest.mark.parametrize('change', CHANGES)
def test_modified_neighbour_equals_stock_swin(change):
    apply, arguments = CHANGES[change]
    assert_same(*(results(make, apply, **arguments) for make in (ours, stock)))


def test_hook_captures_a_regular_tensor():
    model, seen = ours(), []
    blocks(model)[0].ffn.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(image())
    torch.save(seen, file := io.BytesIO())
    file.seek(0)
    assert_same(torch.load(file), seen)


@pytest.mark.parametrize('make', [ours, vit])
def test_autocast_keeps_float64(make):
    model = make().double()
    with torch.autocast('cpu', torch.bfloat16):
        outs = model(image().double())
    loss(outs).backward()
    assert {out.dtype for out in outs} == {torch.float64}


@pytest.mark.parametrize('make', [ours, vit])
def test_autocast_backward_is_close_to_float32(make):
    found = []
    for is_enabled in (False, True):
        model = make()
        score = loss(model(image()))
        with torch.autocast('cpu', torch.bfloat16, enabled=is_enabled):
            score.backward()
        found.append([p.grad for p in model.parameters() if p.grad is not None])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.1 * float(one.abs().max()))


def test_float32_projection_trains_under_autocast():
    class Single(nn.Sequential):
        def forward(self, x):
            return super().forward(x).float()

    maps = []
    for make in (ours, stock):
        model = make()
        for attention in projections(model):
            attention.qkv = Single(attention.qkv)
        with torch.autocast('cpu', torch.bfloat16):
            outs = model(image())
        loss(outs).backward()
        maps.append([out.detach().float() for out in outs])
    for one, other in zip(*maps, strict=True):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.2)


@pytest.mark.parametrize('make', [ours, vit])
def test_enable_grad_works_inside_inference_mode(make):
    model = make().eval()
    with torch.inference_mode(), torch.enable_grad():
        outs = model(image())
    assert_same([out.clone() for out in outs], list(model(image())))


@pytest.mark.parametrize('part', ['ffn', 'block', 'stage'])
def test_stock_swin_modules_replace_ours(part):
    model, parts = ours().eval(), copy.deepcopy(stock().eval())
    for index, stage in enumerate(model.stages):
        if part == 'stage':
            model.stages[index] = parts.stages[index]
            continue
        for number, block in enumerate(stage.blocks):
            other = parts.stages[index].blocks[number]
            if part == 'ffn':
                block.ffn = other.ffn
            else:
                stage.blocks[number] = other
    assert_same(model(image()), stock().eval()(image()))
