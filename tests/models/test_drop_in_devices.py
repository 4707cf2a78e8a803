"""Networks whose parameters come and go, or have no values: offloaded, sharded, on meta."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmgab.functional import window_index, window_offsets, window_order
from mmgab.models import SwinGAB, ViTGAB

from .drop_in_pairs import SIZES, VIT_SIZES, assert_same, image, loss, ours, stock, vit

pytestmark = pytest.mark.slow

VITS = [
    vit,
    lambda: vit(rel_pos_cfg=dict(type='mlp')).eval(),
    lambda: vit(gpsa_cfg=dict()),
]
GATED = [lambda: SwinGAB(**SIZES, gpsa_cfg=dict()).eval()]
GAUSSIAN = [lambda: SwinGAB(**SIZES, cb_cfg=dict(type='CBS'))]
MAKERS = [stock, ours, *VITS, *GATED, *GAUSSIAN]


def hide_outside_of(unit, parameters):
    """Have a module's parameters only while it runs, as offloading and sharding have them."""
    values = [parameter.detach().clone() for parameter in parameters]

    def show(module, inputs):
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data.copy_(value)

    def hide(module=None, inputs=None, outputs=None):
        for parameter in parameters:
            parameter.data.fill_(float('nan'))

    unit.register_forward_pre_hook(show)
    unit.register_forward_hook(hide)
    hide()


def stages_of(model):
    return model.stages if hasattr(model, 'stages') else [model.patch_embed, *model.blocks]


def owners_of(model):
    return [module for module in model.modules() if list(module.parameters(recurse=False))]


def blocks_of(model):
    return [m for stage in getattr(model, 'stages', [model]) for m in stage.blocks]


@pytest.mark.parametrize('units_of', [stages_of, owners_of, blocks_of])
@pytest.mark.parametrize('make', MAKERS)
def test_offloaded_parameters_keep_outputs(make, units_of):
    model = make()
    with torch.no_grad():
        expected = model(image())
        for unit in units_of(model):
            recurse = units_of is not owners_of
            hide_outside_of(unit, list(unit.parameters(recurse=recurse)))
        assert_same(model(image()), expected)


@pytest.mark.parametrize('make', MAKERS)
def test_forward_arguments_contain_no_module(make):
    """Wrappers that move arguments to a device would move it, or fail on meta."""
    model, arguments = make(), []
    for module in model.modules():
        module.register_forward_pre_hook(
            lambda module, inputs, named: arguments.extend((*inputs, *named.values())),
            with_kwargs=True,
        )
    model(image())
    assert arguments
    assert not [argument for argument in arguments if isinstance(argument, nn.Module)]


@pytest.mark.parametrize('make', MAKERS)
def test_meta_network_keeps_output_shapes(make):
    shapes = [out.shape for out in make()(image())]
    model = copy.deepcopy(make().to('meta'))
    outs = model(image().to('meta'))
    loss(outs).backward()
    assert [out.shape for out in outs] == shapes
    assert {out.device.type for out in outs} == {'meta'}


@pytest.mark.parametrize('make', MAKERS)
def test_outputs_are_independent_of_default_device(make):
    window_order.cache_clear()
    window_index.cache_clear()
    window_offsets.cache_clear()
    model = make()
    torch.manual_seed(0)
    expected = model(image())
    window_order.cache_clear()
    window_index.cache_clear()
    window_offsets.cache_clear()
    x = image()
    torch.manual_seed(0)
    with torch.device('meta'):
        outs = model(x)
        loss(outs).backward()
    assert_same(outs, expected)
    torch.manual_seed(0)
    assert_same(model(x), expected)


@pytest.mark.parametrize(
    ('kind', 'sizes'),
    [(SwinGAB, dict(SIZES, cb_cfg=dict(type='CB'), gpsa_cfg={})), (ViTGAB, VIT_SIZES)],
)
@pytest.mark.parametrize('assign', [False, True])
def test_meta_network_is_filled_by_load_state_dict(kind, sizes, assign):
    source = kind(**sizes).eval()
    with torch.device('meta'):
        model = kind(**sizes).eval()
    if not assign:
        model.to_empty(device='cpu')
    model.load_state_dict(source.state_dict(), assign=assign)
    assert_same(copy.deepcopy(model)(image()), source(image()))


@pytest.mark.parametrize(('kind', 'sizes'), [(SwinGAB, SIZES), (ViTGAB, VIT_SIZES)])
def test_fake_tensor_network_runs_forward_and_backward(kind, sizes):
    with FakeTensorMode():
        model = kind(**sizes)
        outs = model(torch.randn(2, 3, 50, 70))
        loss(outs).backward()
    assert [out.shape for out in outs] == [out.shape for out in kind(**sizes)(image())]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize('make', MAKERS[1:])
def test_other_dtypes_train_and_are_close_to_float32(make, dtype):
    model = make().eval()
    expected = model(image())
    outs = model.to(dtype)(image().to(dtype))
    loss(outs).backward()
    assert all(p.grad is not None and p.grad.dtype == dtype for p in model.parameters())
    # Outputs are normalised: one unit is one standard deviation.
    tolerance = {torch.float16: 0.01, torch.bfloat16: 0.06, torch.float64: 1e-5}[dtype]
    for out, single in zip(outs, expected, strict=True):
        assert out.dtype == dtype
        assert (out.float() - single).abs().mean() < tolerance
