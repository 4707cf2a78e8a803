"""What people put in the place of layers, or hook to them, does what it does in the stock Swin."""

import pytest
import torch
from mmpretrain.models.peft import LoRAModel
from mmpretrain.registry import MODELS
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrizations, parametrize, prune

from .drop_in_pairs import assert_same, image, loss, ours, projections, stock, vit


class Adapter(nn.Module):
    """LoRA (arXiv 2106.09685) with a bias, as adapter libraries put it around a layer."""

    def __init__(self, layer):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.base_layer, rank = layer, 2
        self.down = nn.Parameter(torch.randn(rank, layer.in_features, generator=generator))
        self.up = nn.Parameter(torch.randn(layer.out_features, rank, generator=generator))
        self.bias_of_up = nn.Parameter(torch.randn(layer.out_features, generator=generator))

    def forward(self, x):
        return self.base_layer(x) + x @ self.down.t() @ self.up.t() + self.bias_of_up


class Rescaled(nn.Linear):
    """As IA3 (arXiv 2205.05638) rescales outputs, in a subclass."""

    def forward(self, x):
        return super().forward(x) * torch.linspace(0.5, 1.5, self.out_features)


class Doubled(nn.Module):
    def forward(self, tensor):
        return 2 * tensor


def replace(wrap):
    def change(model):
        for attention in projections(model):
            attention.qkv = wrap(attention.qkv)

    return change


def hook(method, function):
    def change(model):
        for attention in projections(model):
            getattr(attention.qkv, method)(function)

    return change


def reclass(layer):
    layer.__class__ = Rescaled
    return layer


def without_bias(layer):
    layer.bias = None
    return nn.Sequential(layer)


def of_all_linear_layers(change_layer):
    def change(model):
        for module in [m for m in model.modules() if isinstance(m, nn.Linear)]:
            change_layer(module)

    return change


def prune_weights_and_biases(layer):
    for name in ('weight', 'bias'):
        if getattr(layer, name) is not None:
            prune.l1_unstructured(layer, name, 0.5)


def new_forward(layer):
    layer.forward = lambda x: 1.5 * nn.Linear.forward(layer, x)
    return layer


def double_bias(layer):
    parametrize.register_parametrization(layer, 'bias', Doubled())
    return layer


def seeded_spectral_norm(layer):
    torch.manual_seed(0)  # it starts from random vectors
    parametrizations.spectral_norm(layer)


CHANGES = {
    'a container': replace(lambda layer: nn.Sequential(layer, nn.Identity())),
    'a container, no bias': replace(without_bias),
    'LoRA with a bias': replace(Adapter),
    'a subclass': replace(reclass),
    'another forward': replace(new_forward),
    'a parametrised bias': replace(double_bias),
    'a hook': hook('register_forward_hook', lambda module, inputs, output: output + 0.5),
    'a hook on inputs': hook('register_forward_pre_hook', lambda module, inputs: inputs[0] + 0.5),
    'weight norm': of_all_linear_layers(parametrizations.weight_norm),
    'spectral norm': of_all_linear_layers(seeded_spectral_norm),
    'pruning': of_all_linear_layers(prune_weights_and_biases),
}


@pytest.mark.parametrize('change', CHANGES)
def test_modified_projection_equals_stock_swin(change):
    results = []
    for make in (ours, stock):
        model, x = make(), image().requires_grad_()
        CHANGES[change](model)
        outs = model(x)
        loss(outs).backward()
        gradients = {name: p.grad for name, p in model.named_parameters()}
        results.append([outs, x.grad, [gradients[name] for name in sorted(gradients)]])
    assert_same(*results)


@pytest.mark.parametrize('change', CHANGES)
def test_vit_supports_modified_projection(change):
    model, plain = vit(qkv_bias=True), vit(qkv_bias=True)
    CHANGES[change](model)
    outs = model(image())
    loss(outs).backward()
    # What only stands around the layer changes nothing.
    if change in ('a container', 'weight norm'):
        assert_same(outs, plain(image()))
    assert all(out.isfinite().all() for out in outs)


def test_global_hook_equals_stock_swin():
    def add(module, inputs, output):
        return output + 0.5 if isinstance(module, nn.Linear) else None

    handle = register_module_forward_hook(add)
    try:
        assert_same(ours()(image()), stock()(image()))
    finally:
        handle.remove()


@pytest.mark.parametrize('make', [stock, ours, vit])
def test_dynamic_quantisation_stays_close(make):
    model = make().eval()
    quantised = torch.ao.quantization.quantize_dynamic(model, {nn.Linear}, torch.qint8)
    with torch.no_grad():
        for ours, theirs in zip(quantised(image()), model(image()), strict=True):
            assert (ours - theirs).abs().mean() < 0.05 * theirs.std()


@pytest.mark.parametrize('name', ['patch_embed.projection', 'patch_embed.proj'])
def test_patch_projection_supports_a_container(name):
    model = vit() if name.endswith('proj') else ours()
    expected = model(image())
    parent, _, child = name.rpartition('.')
    module = model.get_submodule(parent)
    setattr(module, child, nn.Sequential(getattr(module, child)))
    assert_same(model(image()), expected)


def test_attention_hook_inputs_equal_stock_swin():
    results = []
    for make in (ours, stock):
        model, seen = make(), []
        for module in model.modules():
            if type(module).__name__ == 'ShiftWindowMSA':
                module.register_forward_pre_hook(
                    lambda module, inputs, seen=seen: seen.append(inputs[0])
                )
        model(image())
        results.append(seen)
    assert_same(*results)


def test_in_place_hook_gradients_equal_stock_swin():
    """Backward must not recompute a norm whose output was changed."""
    results = []
    for make in (ours, stock):
        model, x = make(), image().requires_grad_()
        for module in model.modules():
            if type(module).__name__ in ('ShiftWindowMSA', 'FeedForward', 'FFN'):
                module.register_forward_pre_hook(change_in_place)
        outs = model(x)
        loss(outs).backward()
        results.append([outs, x.grad, [p.grad for p in model.parameters()]])
    assert_same(*results)


def change_in_place(module, inputs):
    inputs[0].mul_(1.5)


def test_mmpretrain_lora_equals_stock_swin(monkeypatch):
    results = []
    for make in (ours, stock):
        network = make()
        network.init_weights = lambda: None  # LoRAModel calls it, and its weights are these
        monkeypatch.setitem(MODELS.module_dict, 'Network', lambda network=network: network)
        torch.manual_seed(0)
        target = dict(type='.*qkv')
        model = LoRAModel(module=dict(type='mmpretrain.Network'), alpha=1, rank=2, targets=[target])
        for name, parameter in model.named_parameters():
            if 'lora' in name:  # as after training
                nn.init.normal_(parameter, std=0.1)
        outs = model(image())
        loss(outs).backward()
        results.append([outs, [p.grad for p in model.parameters() if p.grad is not None]])
    assert_same(*results)
