"""The network under those who look on while it runs: compilers and fake tensors."""

import pytest
import torch
from mmdet.models.backbones.swin import SwinTransformer
from torch._dynamo.testing import CompileCounterWithBackend
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from mmgab.functional import window_index, window_offsets, window_order
from mmgab.models import SwinGAB

pytestmark = pytest.mark.slow

SIZES = [(64, 96), (97, 131), (200, 150)]


def network(depths):
    heads, stages = (2,) * len(depths), tuple(range(len(depths)))
    model = SwinGAB(
        embed_dims=8, depths=depths, num_heads=heads, out_indices=stages, drop_path_rate=0
    )
    for name, parameter in model.named_parameters():
        if 'norm' not in name and name.endswith(('weight', 'table')):
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def compiled(model, counter):
    torch._dynamo.reset()
    return torch.compile(model, fullgraph=True, dynamic=True, backend=counter)


def test_dynamic_compile_supports_any_image_size():
    model, counter = network((2, 2)).eval(), CompileCounterWithBackend('aot_eager')
    fast, compilations = compiled(model, counter), []
    for size in SIZES:
        x = torch.randn(2, 3, *size)
        with torch.no_grad():
            for a, b in zip(fast(x), model(x), strict=True):
                torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
        compilations.append(counter.frame_count)
    assert compilations == [compilations[0]] * len(SIZES)


def test_compiled_gradients_equal_eager():
    model, x = network((2,)), torch.randn(2, 3, 97, 131)
    gradients = []
    for run in (model, compiled(model, 'aot_eager')):
        loss = sum(out.square().mean() for out in run(x))
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    for (name, _), a, b in zip(model.named_parameters(), *gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize('has_gradients', [False, True])
def test_jit_trace_supports_another_batch_size(has_gradients):
    """Older exporters use ``torch.jit.trace``."""
    model = network((2, 2)).eval()
    with torch.set_grad_enabled(has_gradients):
        traced = torch.jit.trace(model, torch.randn(2, 3, 97, 131))
    x = torch.randn(3, 3, 97, 131)
    for a, b in zip(traced(x), model(x), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_flop_count_equals_stock_swin():
    sizes = dict(embed_dims=8, depths=(2, 2), num_heads=(2, 2), out_indices=(0, 1))
    x = torch.randn(2, 3, 112, 112)  # whole windows: on padding the stock network spends more
    counts = []
    for model in (SwinGAB(**sizes), SwinTransformer(**sizes)):
        with FlopCounterMode(display=False) as counter:
            model(x)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize('backend', ['sdpa', 'explicit'])
def test_fake_tensor_run_leaves_the_cache_valid(backend):
    """Memory planners run fake tensors, whose geometry must not be cached."""
    window_order.cache_clear()
    window_index.cache_clear()
    window_offsets.cache_clear()
    model = SwinGAB(
        embed_dims=8, depths=(2,), num_heads=(2,), out_indices=(0,), attn_backend=backend
    )
    with FakeTensorMode(allow_non_fake_inputs=True):
        (fake,) = model(torch.empty(2, 3, 61, 90))
        fake.sum().backward()
    model.zero_grad()
    (out,) = model(torch.randn(2, 3, 61, 90))
    out.square().mean().backward()
    assert out.shape == fake.shape
    assert all(type(p.grad) is torch.Tensor for p in model.parameters())
