"""Every derivative that the stock Swin has: higher ones, of transforms, forward mode, batches."""

from functools import partial

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp

from mmgab.functional import window_index, window_offsets, window_order

from .drop_in_pairs import assert_same, image, loss, ours, stock, vit

pytestmark = pytest.mark.slow


def parameters(model):
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def call(model, x, tensors):
    return functional_call(model, tensors, (x,))


def score(model, x):
    """Three numbers that all of the network has part in."""
    *_, last = outs = model(x)
    return torch.stack((loss(outs), last.mean(), last.square().mean()))


def penalty(model, x):
    """Of the gradient of images and parameters, as WGAN-GP or sharpness have it."""
    x.requires_grad_()
    learned = [x, *model.parameters()]
    gradients = torch.autograd.grad(loss(model(x)), learned, create_graph=True)
    total = sum(gradient.square().sum() for gradient in gradients)
    return torch.autograd.grad(total, learned, materialize_grads=True)


def third_derivative(model, x):
    """In double precision, and each one scaled: they are of many magnitudes."""
    x = x.double().requires_grad_()
    value = loss(model.double()(x))
    for _ in range(3):
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        gradient = gradient / gradient.detach().abs().max()
        value = gradient.square().sum()
    return gradient


def batch_of_gradients(model, x):
    x.requires_grad_()
    outs = model(x)[-1].mean((0, 2, 3))[:3]
    learned = [x, *model.parameters()]
    return torch.autograd.grad(
        outs, learned, torch.eye(3), is_grads_batched=True, materialize_grads=True
    )


def forward_mode(model, x):
    with forward_ad.dual_level():
        outs = model(forward_ad.make_dual(x, torch.ones_like(x)))
        return [forward_ad.unpack_dual(out) for out in outs]


def forward_mode_of_parameters(model, x):
    tensors = parameters(model)
    tangents = {name: tensor.cos() for name, tensor in tensors.items()}
    return jvp(partial(call, model, x), (tensors,), (tangents,))


def per_sample(model, x):
    def one(tensors, x):
        return loss(functional_call(model, tensors, (x[None],)))

    return torch.vmap(grad(one), in_dims=(None, 0))(parameters(model), x)


def ensemble(model, x):
    tensors, buffers = stack_module_state([model, model])
    return torch.vmap(lambda *state: functional_call(model, state, (x,)))(tensors, buffers)


def ensemble_of_biases(model, x):
    biases = {n: torch.stack((t, t + 1)) for n, t in parameters(model).items() if 'bias' in n}
    return torch.vmap(partial(call, model, x))(biases)


def jacobian_of_a_bias(model, x):
    """In forward mode: of a bias that pads the last windows, tokens know nothing at first."""
    name = next(name for name in parameters(model) if name.endswith('qkv.bias'))
    run = jacfwd(lambda bias: call(model, x, {name: bias})[-1].mean((0, 2, 3)))
    return run(parameters(model)[name])


def scaled(model, x, factors):
    return loss(model(x[:1] * factors[0] + factors[1]))


DERIVATIVES = {
    'a penalty on gradients': penalty,
    'third': third_derivative,
    'a batch of gradients': batch_of_gradients,
    'grad': lambda model, x: grad(lambda t: loss(call(model, x, t)))(parameters(model)),
    'vjp': lambda model, x: vjp(partial(score, model), x)[1](torch.ones(3)),
    'jvp': lambda model, x: jvp(partial(score, model), (x,), (torch.ones_like(x),)),
    'jacrev': lambda model, x: jacrev(partial(score, model))(x),
    'jacfwd': lambda model, x: jacfwd(lambda f: score(model, f * x))(torch.ones(1)),
    'hessian': lambda model, x: hessian(partial(scaled, model, x))(torch.tensor([1.0, 0.1])),
    'hvp': lambda model, x: jvp(grad(lambda x: loss(model(x))), (x,), (torch.ones_like(x),)),
    'autograd.functional': lambda model, x: torch.autograd.functional.jacobian(
        partial(score, model), x, vectorize=True
    ),
    'forward mode': forward_mode,
    'forward mode of parameters': forward_mode_of_parameters,
    'per-sample gradients': per_sample,
    'an ensemble': ensemble,
    'an ensemble of biases': ensemble_of_biases,
    'jacfwd of a bias': jacobian_of_a_bias,
}


@pytest.mark.parametrize('name', DERIVATIVES)
def test_derivative_equals_stock_swin(name):
    assert_same(*(DERIVATIVES[name](make(), image()) for make in (ours, stock)))


@pytest.mark.parametrize('name', DERIVATIVES)
def test_vit_derivative_equals_unfused(name):
    """Compares with unfused attention and layers that are called one by one."""
    fused, plain = vit(qkv_bias=True), vit(qkv_bias=True, attn_backend='explicit')
    for module in plain.modules():
        module.register_forward_hook(lambda *_: None)
    assert_same(*(DERIVATIVES[name](model, image()) for model in (fused, plain)))


@pytest.mark.parametrize('change', [dict(attn_backend='explicit'), dict(with_cp='selective'),
                                    dict(with_cp=True)], ids=str)  # fmt: skip
def test_double_backward_is_independent_of_checkpointing(change):
    assert_same(penalty(ours(**change), image()), penalty(ours(), image()))


def test_autocast_second_derivative_is_close_to_float32():
    results = []
    for enabled in (True, False):
        model, x = ours(), image().requires_grad_()
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            outs = model(x)
        total = sum(out.float().square().mean() for out in outs)
        weight = model.stages[1].blocks[0].attn.w_msa.qkv.weight
        (gradient,) = torch.autograd.grad(total, weight, create_graph=True)
        results.append(torch.autograd.grad(gradient.square().sum(), weight)[0])
    half, single = results
    assert torch.cosine_similarity(half.flatten(), single.flatten(), dim=0) > 0.95


def test_transform_results_are_not_cached():
    window_order.cache_clear()
    window_index.cache_clear()
    window_offsets.cache_clear()
    model = ours()
    grad(lambda t: loss(call(model, image(), t)))(parameters(model))
    loss(model(image())).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
