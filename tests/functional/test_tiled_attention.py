"""Global attention in tiles against attention with the bias of all pairs."""

from functools import partial

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from mmgab.functional import pairs_of_table, split_heads, tiled_attention

BATCH, HEADS, CHANNELS, SCALE = 2, 2, 6, 0.7
# One tile; the last tile of fewer rows; rows that are longer than a tile; columns.
GRIDS = [(5, 7), (19, 17), (2, 300), (300, 1)]
TABLES = ['per head', 'shared', 'none']


def inputs(grid, table='per head', dtype=torch.float64):
    height, width = grid
    qkv = torch.randn(BATCH * height * width, 3 * CHANNELS, dtype=dtype, requires_grad=True)
    if table == 'none':
        return qkv, None
    columns = HEADS if table == 'per head' else 1
    rows = (2 * height - 1) * (2 * width - 1)
    return qkv, torch.randn(rows, columns, dtype=dtype, requires_grad=True)


def in_tiles(qkv, table, grid, scale=SCALE):
    return tiled_attention(qkv, table, (BATCH, *grid), HEADS, scale)


def with_all_pairs(qkv, table, grid, scale=SCALE):
    q, k, v = split_heads(qkv.unflatten(0, (BATCH, -1)), 3, HEADS)
    scores = scale * q @ k.transpose(-2, -1)
    if table is not None:
        scores = scores + pairs_of_table(table, grid)
    return (scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(len(qkv), -1)


@pytest.mark.parametrize('scale', [SCALE, 0.0])
@pytest.mark.parametrize('table', TABLES)
@pytest.mark.parametrize('grid', GRIDS, ids=str)
def test_outputs_and_gradients_equal_all_pairs(grid, table, scale):
    tensors = inputs(grid, table)
    learned = [tensor for tensor in tensors if tensor is not None]
    results = []
    for attend in (in_tiles, with_all_pairs):
        out = attend(*tensors, grid, scale)
        grads = torch.autograd.grad(out, learned, torch.ones_like(out).cumsum(0), retain_graph=True)
        results.append((out, *grads))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize('table', TABLES)
def test_second_derivatives_equal_all_pairs(table):
    tensors = inputs((3, 4), table)
    learned = [tensor for tensor in tensors if tensor is not None]
    results = []
    for attend in (in_tiles, with_all_pairs):
        grads = torch.autograd.grad(
            attend(*tensors, (3, 4)).square().sum(), learned, create_graph=True
        )
        penalty = sum(grad.square().sum() for grad in grads)
        results.append(torch.autograd.grad(penalty, learned))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected)


def test_operator_passes_gradcheck():
    tensors = inputs((2, 3))
    assert torch.autograd.gradcheck(partial(in_tiles, grid=(2, 3)), tensors, fast_mode=True)


@pytest.mark.parametrize('table', TABLES)
def test_operator_passes_opcheck(table):
    torch.library.opcheck(tiled_attention, (*inputs((2, 3), table), [BATCH, 2, 3], HEADS, SCALE))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_reduced_precision_rounds_as_all_pairs(dtype):
    tensors = [tensor.detach() for tensor in inputs((19, 17), dtype=torch.float32)]
    results = []
    for attend, kind in ((in_tiles, dtype), (with_all_pairs, torch.float64)):
        rounded = [tensor.to(dtype).to(kind).requires_grad_() for tensor in tensors]
        out = attend(*rounded, (19, 17))
        results.append((out, *torch.autograd.grad(out.square().sum(), rounded)))
    for ours, exact in zip(*results, strict=True):
        error = (ours.double() - exact).abs().max()
        assert error < 4 * torch.finfo(dtype).eps * exact.abs().max()


def test_single_precision_table_serves_half_precision_tokens():
    qkv, table = inputs((5, 7), dtype=torch.float32)
    out = in_tiles(qkv.bfloat16(), 1e30 * table, (5, 7))
    grad_qkv, grad_table = torch.autograd.grad(out.float().sum(), (qkv, table))
    assert out.dtype == torch.bfloat16
    assert out.isfinite().all()
    assert grad_qkv.isfinite().all()
    assert grad_table.dtype == torch.float32


def peak_memory(grid):
    """Peak of what forward and backward allocate, in bytes."""
    tensors = inputs(grid, dtype=torch.float32)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        in_tiles(*tensors, grid).sum().backward()
    events = [e for e in profiled.profiler.kineto_results.events() if e.name() == '[memory]']
    held = torch.tensor([e.nbytes() for e in sorted(events, key=lambda e: e.start_ns())])
    return int(held.cumsum(0).max())


def test_memory_grows_linearly_with_tokens():
    assert peak_memory((48, 48)) < 4.4 * peak_memory((24, 24))
