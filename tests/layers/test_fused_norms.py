from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmgab.analysis.cost import saved_bytes
from mmgab.layers.feed_forward import feed_forward
from mmgab.layers.fused_norms import NormInputs, normed_linear

CHANNELS, HIDDEN = 6, 15
ROWS = 2 * 7


def layers():
    modules = nn.ModuleDict(
        dict(
            norm=nn.LayerNorm(CHANNELS, eps=1e-2),
            expand=nn.Linear(CHANNELS, HIDDEN),
            contract=nn.Linear(HIDDEN, CHANNELS),
        )
    )
    for parameter in modules.parameters():
        nn.init.normal_(parameter)
    return modules


def norm_inputs(x, norm):
    return NormInputs(x, norm.weight, norm.bias, norm.eps)


def lean_linear(x, m, has_bias=True):
    bias = m.expand.bias if has_bias else None
    return normed_linear(m.norm(x), norm_inputs(x, m.norm), m.expand.weight, bias)


def plain_linear(x, m, has_bias=True):
    return F.linear(m.norm(x), m.expand.weight, m.expand.bias if has_bias else None)


def lean_network(x, m, keep_hidden):
    weights, biases = zip(*((m[i].weight, m[i].bias) for i in ('expand', 'contract')), strict=True)
    return feed_forward(m.norm(x), norm_inputs(x, m.norm), weights, biases, keep_hidden)


def plain_network(x, m):
    return m.contract(F.gelu(m.expand(m.norm(x))))


FORMS = {
    'linear': (lean_linear, plain_linear),
    'no bias': (partial(lean_linear, has_bias=False), partial(plain_linear, has_bias=False)),
    'hidden kept': (partial(lean_network, keep_hidden=True), plain_network),
    'hidden not kept': (partial(lean_network, keep_hidden=False), plain_network),
}


def outputs_and_gradients(run, frozen=(), autocast=False, backward_in_autocast=False):
    torch.manual_seed(1)
    modules, x, direction = layers(), torch.randn(2, 7, CHANNELS), torch.randn(2, 7, HIDDEN)
    learned = []
    for name, tensor in [('x', x), *modules.named_parameters()]:
        tensor.requires_grad_(not name.startswith(frozen))
        learned += [tensor] if tensor.requires_grad else []
    context = partial(torch.autocast, 'cpu', torch.bfloat16)
    with context(enabled=autocast):
        out = run(x, modules)
    if not out.requires_grad:
        return [out]
    with context(enabled=backward_in_autocast):
        direction = direction[..., : out.shape[-1]].to(out.dtype)
        return [out, *torch.autograd.grad(out, learned, direction, allow_unused=True)]


@pytest.mark.parametrize(
    'frozen',
    [
        *((), ('x',), ('norm',), ('expand',), ('contract',)),
        *(('x', 'norm'), ('x', 'norm', 'expand'), ('norm', 'expand', 'contract')),
        ('norm.weight', 'expand.bias', 'contract.weight'),
        ('norm.bias', 'expand.weight', 'contract.bias'),
    ],
)
@pytest.mark.parametrize('form', FORMS)
def test_recomputed_layers_equal_eager_layers(form, frozen):
    lean, plain = (outputs_and_gradients(run, frozen) for run in FORMS[form])
    for ours, theirs in zip(lean, plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('backward_in_autocast', [False, True])
@pytest.mark.parametrize('form', FORMS)
def test_autocast_dtype_equals_eager_layers(form, backward_in_autocast):
    lean = outputs_and_gradients(
        FORMS[form][0], autocast=True, backward_in_autocast=backward_in_autocast
    )
    plain = outputs_and_gradients(FORMS[form][1], autocast=True)
    for ours, theirs in zip(lean, plain, strict=True):
        # Two roundings to 8 bits, of numbers as large as the largest.
        largest = 0 if theirs is None else theirs.abs().max().item()
        torch.testing.assert_close(ours, theirs, atol=2 * 2**-8 * largest, rtol=0)


@pytest.mark.parametrize('form', FORMS)
def test_inference_modifies_no_input_or_parameter(form):
    lean, plain = FORMS[form]
    modules, x = layers(), torch.randn(2, 7, CHANNELS)
    before = [tensor.clone() for tensor in (x, *modules.parameters())]
    with torch.no_grad():
        torch.testing.assert_close(lean(x, modules), plain(x, modules))
    for ours, theirs in zip((x, *modules.parameters()), before, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ('form', 'wide'), [('linear', 0), ('hidden kept', HIDDEN), ('hidden not kept', 0)]
)
def test_saved_bytes_are_input_statistics_and_hidden(form, wide):
    modules, x = layers(), torch.randn(2, 7, CHANNELS)
    kept = saved_bytes(lambda: FORMS[form][0](x, modules), modules)
    assert kept == 4 * ROWS * (CHANNELS + 2 + wide)


@pytest.mark.parametrize('form', FORMS)
def test_double_backward_equals_eager_layers(form):
    modules, x = layers(), torch.randn(2, 7, CHANNELS, requires_grad=True)
    learned, found = [x, *modules.parameters()], []
    for run in FORMS[form]:
        out = run(x, modules).square().sum()
        first = torch.autograd.grad(out, learned, create_graph=True, materialize_grads=True)
        penalty = sum((grad / grad.abs().max().clamp_min(1)).square().sum() for grad in first)
        found.append(torch.autograd.grad(penalty, learned, materialize_grads=True))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
