"""Triton kernels against unfused attention in double precision.

They run on a GPU where there is one, else in Triton's interpreter (see conftest.py).
"""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from mmgab.functional import (
    gaussian_table,
    pairs_of_table,
    relative_offsets,
)
from mmgab.functional.attention_operator import unfused_window_attention
from mmgab.kernels import triton_operator, triton_window_attention
from mmgab.models import SwinGAB

pytest.importorskip('triton', reason='Triton is an optional dependency')
from mmgab.kernels import triton_kernels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings('ignore:Conversion of an array with ndim:DeprecationWarning:triton'),
]

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
BATCH, HEADS, CHANNELS = 2, 2, 16
LAYOUTS = {  # grid, window, shift
    'without padding': ((14, 7), (7, 7), (0, 0)),
    'padded': ((10, 13), (7, 7), (0, 0)),
    'shifted': ((14, 14), (7, 7), (3, 3)),
    'shifted and padded': ((10, 13), (7, 7), (3, 3)),
    'shifted along one side': ((5, 9), (5, 4), (0, 2)),
    'smaller than a window': ((3, 4), (7, 7), (3, 3)),
    'several blocks of queries': ((11, 15), (12, 12), (6, 6)),
}
BIASES = {  # columns of the table and Gaussians; 0 for none
    'per head': (HEADS, HEADS),
    'shared': (1, 1),
    'table': (HEADS, 0),
    'Gaussian': (0, HEADS),
    'none': (0, 0),
}


def inputs(grid, window, bias='per head', has_padding=True, channels=CHANNELS):
    table_heads, gaussians = BIASES[bias]
    size = 3 * HEADS * channels
    rows = (2 * window[0] - 1) * (2 * window[1] - 1)
    torch.manual_seed(0)
    return (
        torch.randn(BATCH * grid[0] * grid[1], size),
        torch.randn(size) if has_padding else None,
        torch.randn(rows, table_heads) if table_heads else None,
        torch.rand(gaussians) + 0.5 if gaussians else None,
        torch.rand(gaussians) + 1.0 if gaussians else None,
    )


def unfused(qkv, padding, table, amplitude, sigma, grid, window, shift, heads, scale):
    bias = qkv.new_zeros((2 * window[0] - 1) * (2 * window[1] - 1), heads)
    if table is not None:
        bias = bias + table
    if amplitude is not None:
        bias = bias + gaussian_table(relative_offsets(window).to(bias), amplitude, sigma)
    pairs = pairs_of_table(bias, window)
    return unfused_window_attention(qkv, padding, pairs, grid, window, shift, scale)


def results(attend, tensors, layout, dtype):
    """Compute the output and all gradients."""
    grid, window, shift = layout
    tensors = [None if t is None else t.to(DEVICE, dtype).requires_grad_() for t in tensors]
    channels = len(tensors[0][0]) // 3 // HEADS
    out = attend(*tensors, (BATCH, *grid), window, shift, HEADS, channels**-0.5)
    learned = [tensor for tensor in tensors if tensor is not None]
    direction = torch.linspace(-1, 1, out.numel()).view_as(out).to(out)
    grads = torch.autograd.grad(out, learned, direction, materialize_grads=True)
    return out, *grads


def assert_equals_unfused(tensors, layout, tolerance=1e-5, dtype=torch.float32):
    rounded = [None if t is None else t.to(dtype) for t in tensors]
    ours = results(triton_window_attention, rounded, layout, dtype)
    expected = results(unfused, rounded, layout, torch.float64)
    for found, exact in zip(ours, expected, strict=True):
        bound = tolerance * max(float(exact.detach().abs().max()), 1e-3)
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=bound)


@pytest.mark.parametrize('has_padding', [True, False])
@pytest.mark.parametrize('layout', LAYOUTS)
def test_outputs_and_gradients_equal_unfused_attention(layout, has_padding):
    grid, window, _ = LAYOUTS[layout]
    assert_equals_unfused(inputs(grid, window, has_padding=has_padding), LAYOUTS[layout])


@pytest.mark.parametrize('bias', BIASES)
def test_every_kind_of_bias_equals_unfused_attention(bias):
    layout = (5, 4), (3, 3), (1, 1)
    assert_equals_unfused(inputs(*layout[:2], bias), layout)


@pytest.mark.parametrize('channels', [16, 24, 64])
def test_every_number_of_channels_equals_unfused_attention(channels):
    layout = (5, 4), (3, 3), (1, 1)
    assert_equals_unfused(inputs(*layout[:2], channels=channels), layout)


BFLOAT16 = pytest.param(
    torch.bfloat16,
    marks=pytest.mark.skipif(
        DEVICE == 'cpu', reason="needs a GPU: Triton's interpreter multiplies bfloat16 as integers"
    ),
)


@pytest.mark.parametrize('dtype', [torch.float16, BFLOAT16])
def test_reduced_precision_rounds_as_its_dtype(dtype):
    layout = (5, 4), (3, 3), (1, 1)
    assert_equals_unfused(inputs(*layout[:2]), layout, 8 * torch.finfo(dtype).eps, dtype)


MUTATIONS = {
    'mask off by one row': ('rows * WH - shift_y)', 'rows * WH - shift_y + 1)'),
    'mask off by one column': ('cols * WW - shift_x)', 'cols * WW - shift_x - 1)'),
    'roll off by one row': ('y, x = shifted_y + shift_y,', 'y, x = shifted_y + shift_y - 1,'),
    'padding not read': ('HAS_PADDING:\n        row = tl', 'False:\n        row = tl'),
    'table transposed': ('offset = (dy + WH - 1)', 'offset = (WH - 1 - dy)'),
}


@pytest.mark.parametrize('mutation', MUTATIONS)
def test_comparison_detects_mutation(mutation, tmp_path, monkeypatch):
    correct, wrong = MUTATIONS[mutation]
    source = Path(triton_kernels.__file__).read_text()
    assert source.count(correct) == 1
    path = tmp_path / 'mutated_kernels.py'
    path.write_text(source.replace(correct, wrong))
    spec = importlib.util.spec_from_file_location('mutated_kernels', path)
    mutated = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mutated)
    monkeypatch.setattr(triton_operator, '_kernels', lambda *args: mutated)
    layout = (10, 13), (7, 7), (3, 3)
    with pytest.raises(AssertionError):
        assert_equals_unfused(inputs(*layout[:2]), layout)


def test_gradients_are_deterministic():
    layout = LAYOUTS['shifted and padded']
    tensors = inputs(*layout[:2])
    first, second = (
        results(triton_window_attention, tensors, layout, torch.float32) for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_second_derivatives_equal_unfused_attention():
    layout = (4, 5), (3, 3), (1, 1)
    penalties = []
    for attend, dtype in ((triton_window_attention, torch.float32), (unfused, torch.float64)):
        tensors = [t.to(DEVICE, dtype).requires_grad_() for t in inputs(*layout[:2])]
        out = attend(*tensors, (BATCH, *layout[0]), *layout[1:], HEADS, 0.25)
        grads = torch.autograd.grad(out.square().sum(), tensors, create_graph=True)
        penalty = sum(grad.square().sum() for grad in grads)
        penalties.append(torch.autograd.grad(penalty, tensors))
    for ours, expected in zip(*penalties, strict=True):
        bound = 1e-4 * float(expected.abs().max())
        torch.testing.assert_close(ours.double(), expected, rtol=0, atol=bound)


@pytest.mark.parametrize('gab_cfg', [None, {}, dict(per_head=True)], ids=str)
def test_training_step_of_swingab_equals_auto(gab_cfg):
    results = []
    for backend in ('triton', 'auto'):
        torch.manual_seed(0)
        model = SwinGAB(
            embed_dims=32, depths=(2, 1), num_heads=(2, 4), strides=(4, 2), out_indices=(0, 1),
            window_size=4, gab_cfg=gab_cfg, attn_backend=backend, drop_path_rate=0.0,
        ).to(DEVICE)  # fmt: skip
        maps = model(torch.linspace(-1, 1, 2 * 3 * 41 * 30).view(2, 3, 41, 30).to(DEVICE))
        sum(map_.square().mean() for map_ in maps).backward()
        results.append([*maps, *(p.grad for p in model.parameters())])
    for ours, expected in zip(*results, strict=True):
        bound = 1e-4 * max(float(expected.detach().abs().max()), 1e-3)
        torch.testing.assert_close(ours, expected, rtol=0, atol=bound)


def small(channels=16, window=(3, 3)):
    qkv = torch.randn(6, 3 * channels)
    return qkv, None, None, None, None, [1, 2, 3], list(window), [0, 0], 1, 1.0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(window=(3, 17)), 'windows of up to 16 x 16 tokens, got 3 x 17'),
        (dict(channels=8), '16 to 64 channels a head, got 8'),
        (dict(channels=96), '16 to 64 channels a head, got 96'),
    ],
)
def test_unsupported_sizes_raise_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        triton_window_attention(*small(**arguments))


def test_tensors_on_cpu_raise_an_error(monkeypatch):
    monkeypatch.setattr(triton_kernels, 'IS_INTERPRETED', False)
    with pytest.raises(ValueError, match="needs a GPU, got tensors on cpu; use 'auto'"):
        triton_window_attention(*small())


def test_missing_triton_raises_an_error(monkeypatch):
    monkeypatch.delattr('mmgab.kernels.triton_kernels')
    monkeypatch.setitem(sys.modules, 'mmgab.kernels.triton_kernels', None)
    with pytest.raises(ImportError, match='needs Triton: pip install triton'):
        triton_window_attention(*small())
