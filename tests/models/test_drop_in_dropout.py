"""Dropout is asked itself whether it drops, and who looks at attention weights sees them."""

import pytest
import torch
from torch import nn

from .drop_in_pairs import assert_same, image, ours, projections, stock, vit


def drops(model):
    return [module for module in model.modules() if isinstance(module, nn.Dropout)]


@pytest.mark.parametrize('rates', [dict(attn_drop_rate=0.5), dict(drop_rate=0.5)], ids=str)
@pytest.mark.parametrize('make', [stock, ours, vit])
def test_training_dropout_is_active_in_eval_network(make, rates):
    """Monte-Carlo dropout (arXiv 1506.02142)."""
    model = make(**rates).eval()
    assert_same(model(image()), model(image()))
    for drop in drops(model):
        drop.train()
    for has_gradients in (True, False):
        with torch.set_grad_enabled(has_gradients):
            assert not torch.equal(model(image())[-1], model(image())[-1])


@pytest.mark.parametrize('make', [stock, ours, vit])
def test_eval_dropout_is_inactive_in_training_network(make):
    model = make(attn_drop_rate=0.5, drop_rate=0.5).train()
    for drop in drops(model):
        drop.eval()
    for module in model.modules():
        if 'rel_pos' in str(type(module)):
            module.eval()
    assert_same(model(image()), model(image()))


def test_each_dropout_is_active_alone():
    """Each dropout layer is active while all others are off."""
    model = ours(attn_drop_rate=0.5, drop_rate=0.5).eval()
    plain = model(image())[-1]
    for drop in drops(model):
        drop.train()
        assert not torch.equal(model(image())[-1], plain)
        drop.eval()


@pytest.mark.parametrize('layer', ['softmax', 'attn_drop'])
def test_hooked_attention_weights_equal_stock_swin(layer):
    """Windows have the same number and order, and include padding."""
    results = []
    for make in (ours, stock):
        model, seen = make(), []
        for attention in projections(model):
            module = attention.get_submodule(layer)
            module.register_forward_hook(lambda *args, seen=seen: seen.append(args[2]))
        model(image())
        results.append(seen)
    assert len(results[0]) == 4
    assert_same(*results)


@pytest.mark.parametrize('layer', ['softmax', 'attn_drop'])
def test_replaced_attention_submodule_is_called(layer):
    class Halved(nn.Module):
        def forward(self, scores):
            return 0.5 * (scores.softmax(dim=-1) if layer == 'softmax' else scores)

    results = []
    for make in (ours, stock):
        model = make()
        for attention in projections(model):
            setattr(attention, layer, Halved())
        results.append(model(image()))
    assert_same(*results)
