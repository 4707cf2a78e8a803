"""Triton kernels of window attention: one program for each window and head.

A program reads queries, keys and values of its tokens where they lie: padding, cyclic shift and
window partition are index arithmetic. It adds the table and the Gaussian, masks pairs that the
shift brings together from opposite edges, and writes tokens where they belong. No permuted tensor,
mask or bias of pairs is stored.

Sides are in tokens. A block has a power of two of slots or channels, at least 16; slots beyond the
window's tokens and channels beyond ``D`` are masked.
"""

import triton
import triton.language as tl
from triton import knobs
from triton.language import constexpr

IS_INTERPRETED = knobs.runtime.interpret  # kernels run on the CPU, for tests


@triton.jit
def _tokens(
    window, slots, grid_h, grid_w, rows, cols, shift_y, shift_x, WH: constexpr, WW: constexpr
):  # fmt: skip
    """Return the token of each slot, whether it is of the image, and its side of the shifted edge.

    Slots that are not of the image hold padding, or are beyond the window.
    """
    image, place = window // (rows * cols), window % (rows * cols)
    shifted_y = (place // cols) * WH + slots // WW
    shifted_x = (place % cols) * WW + slots % WW
    side = 2 * (shifted_y >= rows * WH - shift_y).to(tl.int32)
    side += (shifted_x >= cols * WW - shift_x).to(tl.int32)
    y, x = shifted_y + shift_y, shifted_x + shift_x
    y, x = tl.where(y < rows * WH, y, y - rows * WH), tl.where(x < cols * WW, x, x - cols * WW)
    is_inside = (y < grid_h) & (x < grid_w) & (slots < WH * WW)
    return (image * grid_h + y) * grid_w + x, is_inside, side


@triton.jit
def _read(
    qkv, padding, part, head, tokens, is_inside, channels,
    HEADS: constexpr, D: constexpr, HAS_PADDING: constexpr,
):  # fmt: skip
    """Read queries (part 0), keys (1) or values (2) of a head, ``(slots, channels)``."""
    columns = (part * HEADS + head) * D + channels
    addresses = tokens.to(tl.int64)[:, None] * (3 * HEADS * D) + columns[None]
    is_channel = channels < D
    values = tl.load(qkv + addresses, mask=is_inside[:, None] & is_channel[None], other=0.0)
    if HAS_PADDING:
        row = tl.load(padding + columns, mask=is_channel, other=0.0)
        values = tl.where(is_inside[:, None], values, row[None].to(values.dtype))
    return values


@triton.jit
def _bias(
    table, amplitude, sigma, head, slots_q, slots_k,
    WH: constexpr, WW: constexpr, TABLE_HEADS: constexpr, GAUSSIANS: constexpr,
):  # fmt: skip
    """Compute the bias of pairs of slots, in single precision."""
    dy = slots_q[:, None] // WW - slots_k[None] // WW
    dx = slots_q[:, None] % WW - slots_k[None] % WW
    bias = (dy * 0).to(tl.float32)
    if TABLE_HEADS > 0:
        offset = (dy + WH - 1) * (2 * WW - 1) + dx + WW - 1
        is_pair = (slots_q < WH * WW)[:, None] & (slots_k < WH * WW)[None]
        entry = table + offset * TABLE_HEADS + head % TABLE_HEADS
        bias += tl.load(entry, mask=is_pair, other=0.0).to(tl.float32)
    if GAUSSIANS > 0:
        a = tl.load(amplitude + head % GAUSSIANS).to(tl.float32)
        s = tl.load(sigma + head % GAUSSIANS).to(tl.float32)
        squared = (dy * dy + dx * dx).to(tl.float32)
        bias += a * a * tl.exp(-squared / tl.maximum(2 * s * s, 1e-6))
    return bias


@triton.jit
def _weights(
    q, k, bias, scale, side_q, side_k, slots_q, slots_k, N: constexpr, PRECISION: constexpr
):
    """Compute attention weights in single precision; keys beyond the window have none."""
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale + bias
    # A query beyond the window sees all keys, so that its weights, which nobody reads, are finite.
    is_seen = (side_q[:, None] == side_k[None]) | (slots_q >= N)[:, None]
    scores = tl.where(is_seen & (slots_k < N)[None], scores, float('-inf'))
    weights = tl.exp(scores - tl.max(scores, axis=1)[:, None])
    return weights / tl.sum(weights, axis=1)[:, None]


@triton.jit
def attend(
    qkv, padding, table, amplitude, sigma, out,
    grid_h, grid_w, rows, cols, shift_y, shift_x, scale,
    WH: constexpr, WW: constexpr, HEADS: constexpr, D: constexpr, TABLE_HEADS: constexpr,
    GAUSSIANS: constexpr, HAS_PADDING: constexpr, QUERIES: constexpr, KEYS: constexpr,
    CHANNELS: constexpr, PRECISION: constexpr,
):  # fmt: skip
    """Compute attention of a block of queries of one window and head.

    The grid of programs is windows, heads, blocks of queries.
    """
    N: constexpr = WH * WW
    window, head = tl.program_id(0), tl.program_id(1)
    channels = tl.arange(0, CHANNELS)
    slots_k, slots_q = tl.arange(0, KEYS), tl.program_id(2) * QUERIES + tl.arange(0, QUERIES)
    tokens_k, inside_k, side_k = _tokens(
        window, slots_k, grid_h, grid_w, rows, cols, shift_y, shift_x, WH, WW
    )
    tokens_q, inside_q, side_q = _tokens(
        window, slots_q, grid_h, grid_w, rows, cols, shift_y, shift_x, WH, WW
    )
    q = _read(qkv, padding, 0, head, tokens_q, inside_q, channels, HEADS, D, HAS_PADDING)
    k = _read(qkv, padding, 1, head, tokens_k, inside_k, channels, HEADS, D, HAS_PADDING)
    v = _read(qkv, padding, 2, head, tokens_k, inside_k, channels, HEADS, D, HAS_PADDING)
    bias = _bias(table, amplitude, sigma, head, slots_q, slots_k, WH, WW, TABLE_HEADS, GAUSSIANS)
    weights = _weights(q, k, bias, scale, side_q, side_k, slots_q, slots_k, N, PRECISION)
    attended = tl.dot(weights.to(v.dtype), v, input_precision=PRECISION)
    addresses = tokens_q.to(tl.int64)[:, None] * (HEADS * D) + head * D + channels[None]
    is_written = inside_q[:, None] & (channels < D)[None]
    tl.store(out + addresses, attended.to(out.dtype.element_ty), mask=is_written)


@triton.jit
def _grad_scores(v, grad, weights, PRECISION: constexpr):
    """Compute the gradients of biased scores from those of the output, in single precision."""
    grad_weights = tl.dot(grad, tl.trans(v), input_precision=PRECISION)
    return weights * (grad_weights - tl.sum(grad_weights * weights, axis=1)[:, None])


@triton.jit
def attend_backward(
    grad_out, qkv, padding, table, amplitude, sigma, grad_qkv, grad_padding,
    grid_h, grid_w, rows, cols, shift_y, shift_x, scale,
    WH: constexpr, WW: constexpr, HEADS: constexpr, D: constexpr, TABLE_HEADS: constexpr,
    GAUSSIANS: constexpr, HAS_PADDING: constexpr, QUERIES: constexpr, KEYS: constexpr,
    CHANNELS: constexpr, PRECISION: constexpr,
):  # fmt: skip
    """Compute the gradients of queries, keys and values of one window and head.

    The grid of programs is windows, heads. ``grad_padding``, ``(windows, 2, heads, D)``, is the sum
    over the window's padding slots, for keys and values. A padding query has no gradient, as its
    output is not read.
    """
    N: constexpr = WH * WW
    BLOCKS: constexpr = (N + QUERIES - 1) // QUERIES
    window, head = tl.program_id(0), tl.program_id(1)
    channels, slots_k = tl.arange(0, CHANNELS), tl.arange(0, KEYS)
    columns, is_channel = (head * D + channels)[None], (channels < D)[None]
    tokens_k, inside_k, side_k = _tokens(
        window, slots_k, grid_h, grid_w, rows, cols, shift_y, shift_x, WH, WW
    )
    k = _read(qkv, padding, 1, head, tokens_k, inside_k, channels, HEADS, D, HAS_PADDING)
    v = _read(qkv, padding, 2, head, tokens_k, inside_k, channels, HEADS, D, HAS_PADDING)
    grad_k, grad_v = tl.zeros((KEYS, CHANNELS), tl.float32), tl.zeros((KEYS, CHANNELS), tl.float32)
    for block in range(BLOCKS):
        slots_q = block * QUERIES + tl.arange(0, QUERIES)
        tokens_q, inside_q, side_q = _tokens(
            window, slots_q, grid_h, grid_w, rows, cols, shift_y, shift_x, WH, WW
        )
        q = _read(qkv, padding, 0, head, tokens_q, inside_q, channels, HEADS, D, HAS_PADDING)
        is_query, token = inside_q[:, None] & is_channel, tokens_q.to(tl.int64)[:, None]
        grad = tl.load(grad_out + token * (HEADS * D) + columns, mask=is_query, other=0.0)
        bias = _bias(
            table, amplitude, sigma, head, slots_q, slots_k, WH, WW, TABLE_HEADS, GAUSSIANS
        )
        weights = _weights(q, k, bias, scale, side_q, side_k, slots_q, slots_k, N, PRECISION)
        grad_v += tl.dot(tl.trans(weights.to(v.dtype)), grad, input_precision=PRECISION)
        grad_scores = _grad_scores(v, grad, weights, PRECISION).to(q.dtype)
        grad_k += tl.dot(tl.trans(grad_scores), q, input_precision=PRECISION)
        grad_q = tl.dot(grad_scores, k, input_precision=PRECISION) * scale
        of_q = grad_qkv + token * (3 * HEADS * D) + columns
        tl.store(of_q, grad_q.to(grad_qkv.dtype.element_ty), mask=is_query)
    grad_k *= scale
    of_k = grad_qkv + tokens_k.to(tl.int64)[:, None] * (3 * HEADS * D) + columns + HEADS * D
    is_key = inside_k[:, None] & is_channel
    tl.store(of_k, grad_k.to(grad_qkv.dtype.element_ty), mask=is_key)
    tl.store(of_k + HEADS * D, grad_v.to(grad_qkv.dtype.element_ty), mask=is_key)
    if HAS_PADDING:
        is_padding = ((slots_k < N) & (inside_k == 0))[:, None]
        row = grad_padding + (window * 2 * HEADS + head) * D + channels
        of_k = tl.sum(tl.where(is_padding, grad_k, 0.0), axis=0)
        of_v = tl.sum(tl.where(is_padding, grad_v, 0.0), axis=0)
        tl.store(row, of_k, mask=channels < D)
        tl.store(row + HEADS * D, of_v, mask=channels < D)


@triton.jit
def sum_pairs(
    grad_out, qkv, padding, table, amplitude, sigma, grad_pairs,
    grid_h, grid_w, rows, cols, shift_y, shift_x, scale, windows, groups,
    WH: constexpr, WW: constexpr, HEADS: constexpr, D: constexpr, TABLE_HEADS: constexpr,
    GAUSSIANS: constexpr, HAS_PADDING: constexpr, QUERIES: constexpr, KEYS: constexpr,
    CHANNELS: constexpr, PRECISION: constexpr,
):  # fmt: skip
    """Sum the gradients of biased scores over every ``groups``-th window.

    The grid of programs is groups, heads, blocks of queries. ``grad_pairs`` is ``(groups, heads, N,
    N)``; its sum over groups is a second step, so that no atomic operation is needed.
    """
    N: constexpr = WH * WW
    group, head = tl.program_id(0), tl.program_id(1)
    channels, slots_k = tl.arange(0, CHANNELS), tl.arange(0, KEYS)
    slots_q = tl.program_id(2) * QUERIES + tl.arange(0, QUERIES)
    columns, is_channel = (head * D + channels)[None], (channels < D)[None]
    bias = _bias(table, amplitude, sigma, head, slots_q, slots_k, WH, WW, TABLE_HEADS, GAUSSIANS)
    total = tl.zeros((QUERIES, KEYS), tl.float32)
    for window in range(group, windows, groups):
        tokens_k, inside_k, side_k = _tokens(
            window, slots_k, grid_h, grid_w, rows, cols, shift_y, shift_x, WH, WW
        )
        tokens_q, inside_q, side_q = _tokens(
            window, slots_q, grid_h, grid_w, rows, cols, shift_y, shift_x, WH, WW
        )
        q = _read(qkv, padding, 0, head, tokens_q, inside_q, channels, HEADS, D, HAS_PADDING)
        k = _read(qkv, padding, 1, head, tokens_k, inside_k, channels, HEADS, D, HAS_PADDING)
        v = _read(qkv, padding, 2, head, tokens_k, inside_k, channels, HEADS, D, HAS_PADDING)
        rows_of_grad = tokens_q.to(tl.int64)[:, None] * (HEADS * D) + columns
        is_query = inside_q[:, None] & is_channel
        grad = tl.load(grad_out + rows_of_grad, mask=is_query, other=0.0)
        weights = _weights(q, k, bias, scale, side_q, side_k, slots_q, slots_k, N, PRECISION)
        total += _grad_scores(v, grad, weights, PRECISION)
    entry = (group * HEADS + head).to(tl.int64) * (N * N) + slots_q[:, None] * N + slots_k[None]
    tl.store(grad_pairs + entry, total, mask=(slots_q < N)[:, None] & (slots_k < N)[None])
