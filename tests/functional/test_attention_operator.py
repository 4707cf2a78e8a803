from functools import partial

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves

from mmgab.analysis.cost import saved_bytes
from mmgab.functional import (
    mask_bias,
    split_heads,
    window_attention,
    window_order,
)

BATCH, HEADS, CHANNELS, SCALE = 2, 2, 6, 0.7
LAYOUTS = [  # grid, window, shift
    ((4, 6), (2, 3), (0, 0)),
    ((5, 7), (3, 2), (0, 0)),
    ((5, 7), (3, 2), (1, 1)),
    ((4, 6), (2, 3), (1, 1)),
    ((7, 5), (3, 3), (0, 1)),
    ((1, 2), (4, 4), (2, 2)),
]


def inputs(grid, window, with_padding=True, dtype=torch.float64):
    """Queries, keys and values, those of padding, and a bias laid out as a table lookup leaves it.

    Layout matters to compilers: they plan with what an operator says of its outputs' strides.
    """
    tokens, size = BATCH * grid[0] * grid[1], window[0] * window[1]
    qkv = torch.randn(tokens, 3 * CHANNELS, dtype=dtype)
    padding = torch.randn(3 * CHANNELS, dtype=dtype) if with_padding else None
    bias = torch.randn(size, size, HEADS, dtype=dtype).permute(2, 0, 1)
    for tensor in (qkv, bias, *([padding] if with_padding else [])):
        tensor.requires_grad_()
    return qkv, padding, bias


def in_windows(qkv, padding, bias, grid, window, shift):
    order = window_order(BATCH, grid, window, shift, qkv.device, by_kind=False)
    q, k, v = split_heads(order.to_windows(qkv, padding), 3, HEADS)
    scores = SCALE * q @ k.transpose(-2, -1) + mask_bias(bias, order.groups[0].mask)
    return order.to_tokens((scores.softmax(dim=-1) @ v).transpose(1, 2))


def in_operator(qkv, padding, bias, grid, window, shift, keeps_weights=False):
    geometry = (BATCH, *grid), window, shift, SCALE
    return window_attention(qkv, padding, bias, *geometry, keeps_weights)


@pytest.mark.parametrize('chunk_bytes', [1, 600, 4000, 2**30])
@pytest.mark.parametrize('keeps_weights', [True, False])
@pytest.mark.parametrize('with_padding', [True, False])
@pytest.mark.parametrize(('grid', 'window', 'shift'), LAYOUTS)
def test_operator_equals_softmax_attention(
    grid, window, shift, with_padding, keeps_weights, chunk_bytes, monkeypatch
):
    """No chunks (SDPA), chunks of one window, of some, and a single one."""
    monkeypatch.setattr('mmgab.functional.windows._CHUNK_BYTES', chunk_bytes)
    tensors = inputs(grid, window, with_padding)
    learned = [tensor for tensor in tensors if tensor is not None]
    direction = torch.randn(len(tensors[0]), CHANNELS, dtype=torch.float64)
    results = []
    for attend in (partial(in_operator, keeps_weights=keeps_weights), in_windows):
        out = attend(*tensors, grid, window, shift)
        # Where nothing is padded, steps do not use what padding would be.
        grads = torch.autograd.grad(out, learned, direction, materialize_grads=True)
        results.append((out, *grads))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_operator_passes_gradcheck():
    qkv, padding, bias = inputs((1, 3), (2, 2))
    run = partial(in_operator, grid=(1, 3), window=(2, 2), shift=(1, 1))
    assert torch.autograd.gradcheck(run, (qkv, padding, bias), fast_mode=True)


@pytest.mark.parametrize('added', [0.0, -1000.0, -90.0, -40.0, 40.0, 90.0, 1000.0])
@pytest.mark.parametrize('factor', [1.0, 1000.0])
@pytest.mark.parametrize('shift', [(0, 0), (1, 1)])
def test_scores_beyond_the_range_of_exponentials_are_exact(shift, factor, added):
    """A softmax does not depend on a number that is added to all scores of a row."""
    qkv, padding, bias = inputs((5, 7), (3, 2), dtype=torch.float32)
    direction, results = torch.randn(len(qkv), CHANNELS), []
    for attend, number in ((in_operator, added), (in_windows, 0.0)):
        out = attend(qkv, padding, factor * bias + number, (5, 7), (3, 2), shift)
        results.append((out, *torch.autograd.grad(out, (qkv, bias), direction)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=2e-4, atol=2e-4 * max(1, abs(added) / 100))


@pytest.mark.parametrize('keeps_weights', [True, False])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_reduced_precision_rounds_as_softmax_attention(dtype, keeps_weights):
    tensors = [t.detach() for t in inputs((5, 7), (3, 2))]
    expected = in_windows(*tensors, (5, 7), (3, 2), (1, 1))
    reduced = [tensor.to(dtype) for tensor in tensors]
    errors = [
        (attend(*reduced, (5, 7), (3, 2), (1, 1)) - expected).abs().mean()
        for attend in (partial(in_operator, keeps_weights=keeps_weights), in_windows)
    ]
    assert 0 < errors[0] < 1.2 * errors[1]


def test_nan_reaches_the_output_and_the_gradient():
    qkv, padding, bias = inputs((4, 6), (2, 3), dtype=torch.float32)
    with torch.no_grad():
        qkv[0, 0] = torch.nan
    out = in_operator(qkv, padding, bias, (4, 6), (2, 3), (0, 0))
    assert out[0].isnan().any()
    assert out[-1].isfinite().all()
    (grad,) = torch.autograd.grad(out.sum(), bias)
    assert grad.isnan().any()


@pytest.mark.parametrize('keeps_weights', [True, False])
@pytest.mark.parametrize('with_padding', [True, False])
def test_operator_passes_opcheck(with_padding, keeps_weights):
    tensors = inputs((5, 7), (3, 2), with_padding, torch.float32)
    geometry = [BATCH, 5, 7], [3, 2], [1, 1], SCALE, keeps_weights
    torch.library.opcheck(torch.ops.mmgab.window_attention.default, (*tensors, *geometry))


@pytest.mark.parametrize('keeps_weights', [True, False])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('with_padding', [True, False])
def test_fake_kernels_match_shapes_dtypes_and_strides(with_padding, dtype, keeps_weights):
    """Torch's own check of operators does not look at strides."""
    tensors = [t if t is None else t.detach() for t in inputs((5, 7), (3, 2), with_padding, dtype)]
    grad, geometry = torch.randn(len(tensors[0]), CHANNELS, dtype=dtype), ([BATCH, 5, 7], [3, 2])
    forward = partial(torch.ops.mmgab.window_attention, *tensors, *geometry, [1, 1], SCALE)
    kept = forward(keeps_weights)[1]
    backward = partial(torch.ops.mmgab.window_attention_backward, grad, *tensors, kept)
    for run in (partial(forward, keeps_weights), partial(backward, *geometry, [1, 1], SCALE)):
        real = run()
        with FakeTensorMode(allow_non_fake_inputs=True):
            told = run()
        for a, b in zip(tree_leaves(told), tree_leaves(real), strict=True):
            assert (a.shape, a.dtype, a.stride()) == (b.shape, b.dtype, b.stride())


@pytest.mark.parametrize('shift', [(0, 0), (1, 1)])
def test_operator_saves_only_its_inputs(shift):
    tensors = inputs((5, 7), (3, 2))
    run = partial(in_operator, *tensors, (5, 7), (3, 2), shift)
    inputs_bytes = sum(t.numel() * t.element_size() for t in tensors)
    assert saved_bytes(run, nn.Module()) == inputs_bytes
    weights = BATCH * (2 * 4) * HEADS * 6**2 * 8  # windows, heads, pairs, bytes
    assert saved_bytes(partial(run, keeps_weights=True), nn.Module()) == inputs_bytes + weights


@pytest.mark.parametrize('with_padding', [True, False])
@pytest.mark.parametrize('frozen', [(), (0,), (2,)])
def test_operator_double_backward_equals_softmax_attention(frozen, with_padding):
    tensors, found = inputs((5, 7), (3, 2), with_padding), []
    for index in frozen:
        tensors[index].requires_grad_(False)
    learned = [tensor for tensor in tensors if tensor is not None and tensor.requires_grad]
    for attend in (in_operator, in_windows):
        out = attend(*tensors, (5, 7), (3, 2), (1, 1)).square().sum()
        first = torch.autograd.grad(out, learned, create_graph=True)
        penalty = sum(grad.square().sum() for grad in first)
        found.append(torch.autograd.grad(penalty, learned))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_batched_gradients_equal_single_gradients():
    tensors = inputs((5, 7), (3, 2))
    out = in_operator(*tensors, (5, 7), (3, 2), (1, 1))
    directions = torch.randn(3, *out.shape, dtype=out.dtype)
    batch = torch.autograd.grad(out, tensors, directions, is_grads_batched=True, retain_graph=True)
    for i, direction in enumerate(directions):
        one = torch.autograd.grad(out, tensors, direction, retain_graph=True)
        for ours, theirs in zip(batch, one, strict=True):
            torch.testing.assert_close(ours[i], theirs)
