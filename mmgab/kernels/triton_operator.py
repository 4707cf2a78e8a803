"""Window attention in Triton kernels as a custom torch operator.

Its backward saves its inputs only and is deterministic: sums over windows are made in two steps,
without atomic operations. Triton is imported when the operator runs.
"""

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from mmgab.functional import gaussian_table, pairs_of_table, relative_offsets, table_of_pairs
from mmgab.functional.attention_operator import unfused_window_attention
from mmgab.functional.tracing import (
    OperatorContext,
    differentiable_grads,
    is_backward_differentiated,
)

MAX_WINDOW = 16  # tokens of a side
HEAD_DIMS = (16, 64)
_PROGRAMS = 1024  # of backward at most: eight or more for each multiprocessor of today's GPUs


@torch.library.custom_op('mmgab::triton_window_attention', mutates_args=())
def triton_window_attention(
    qkv: Tensor,
    padding: Tensor | None,
    table: Tensor | None,
    amplitude: Tensor | None,
    sigma: Tensor | None,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    heads: int,
    scale: float,
) -> Tensor:
    """Compute attention inside every window, as :func:`~.attention_operator.window_attention`.

    Args:
        qkv: Queries, keys and values of all tokens ``(B * H * W, 3 * C)``.
        padding: Query, key and value of a padding token, ``(3 * C,)``; None for zeros.
        table: ``((2Wh-1)(2Ww-1), heads)`` or ``(..., 1)``, in logits, or None.
        amplitude: ``(heads,)`` or ``(1,)``, of a Gaussian that is added, see
            :func:`~.relative_position.gaussian_table`; None for none.
        sigma: Shaped like ``amplitude``, in tokens.
        grid: ``B``, ``H`` and ``W``.
        window_size: Height and width of a window.
        shift: Rows and columns by which windows are shifted.
        heads: Attention heads.
        scale: Factor on the scores, before the bias.

    Returns:
        ``(B * H * W, C)``.

    Raises:
        ImportError: If Triton is not installed.
        ValueError: If the device, the window or the channels of a head are not supported.
    """
    kernels = _kernels(qkv, window_size, heads)
    qkv, out = qkv.contiguous(), qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)
    inputs = _pointers(qkv, padding, table, amplitude, sigma)
    sizes = kernel_sizes(qkv.dtype, window_size, heads, qkv.shape[1] // 3 // heads)
    blocks = math.ceil(math.prod(window_size) / sizes['QUERIES'])
    kernels.attend[(_windows(grid, window_size), heads, blocks)](
        *inputs, out, *_layout(grid, window_size, shift), scale,
        **sizes, **_kinds(padding, table, amplitude),
    )  # fmt: skip
    return out


@torch.library.custom_op('mmgab::triton_window_attention_backward', mutates_args=())
def _triton_window_attention_backward(
    grad: Tensor,
    qkv: Tensor,
    padding: Tensor | None,
    table: Tensor | None,
    amplitude: Tensor | None,
    sigma: Tensor | None,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    heads: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of ``qkv``, ``padding`` and every offset's bias ``(T, heads)``."""
    kernels, tokens = _kernels(qkv, window_size, heads), math.prod(window_size)
    qkv, grad, channels = qkv.contiguous(), grad.contiguous(), qkv.shape[1] // 3
    inputs = (grad, *_pointers(qkv, padding, table, amplitude, sigma))
    layout, windows = _layout(grid, window_size, shift), _windows(grid, window_size)
    sizes = kernel_sizes(qkv.dtype, window_size, heads, channels // heads)
    kinds = _kinds(padding, table, amplitude)
    grad_qkv = torch.empty_like(qkv)
    grad_padding = qkv.new_zeros(windows, 2 * channels, dtype=torch.float32)
    kernels.attend_backward[(windows, heads)](
        *inputs, grad_qkv, grad_padding, *layout, scale, **sizes, **kinds
    )
    groups = max(1, min(windows, _PROGRAMS // heads, _PROGRAMS * 64**2 // (heads * tokens**2)))
    grad_pairs = qkv.new_empty(groups, heads, tokens, tokens, dtype=torch.float32)
    kernels.sum_pairs[(groups, heads, math.ceil(tokens / sizes['QUERIES']))](
        *inputs, grad_pairs, *layout, scale, windows, groups, **sizes, **kinds
    )
    of_padding = grad_padding.sum(dim=0).to(qkv.dtype)
    of_table = table_of_pairs(grad_pairs.sum(dim=0), (window_size[0], window_size[1]))
    return grad_qkv, torch.cat((of_padding.new_zeros(channels), of_padding)), of_table


@triton_window_attention.register_fake
def _(qkv: Tensor, *others: object) -> Tensor:
    return qkv.new_empty(qkv.shape[0], qkv.shape[1] // 3)


@_triton_window_attention_backward.register_fake
def _(
    grad: Tensor,
    qkv: Tensor,
    padding: Tensor | None,
    table: Tensor | None,
    amplitude: Tensor | None,
    sigma: Tensor | None,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    heads: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    rows = (2 * window_size[0] - 1) * (2 * window_size[1] - 1)
    of_table = qkv.new_empty(rows, heads, dtype=torch.float32)
    return qkv.new_empty(qkv.shape), qkv.new_empty(qkv.shape[1]), of_table


def _save_inputs(ctx: OperatorContext, inputs: tuple, output: Tensor) -> None:
    ctx.geometry = inputs[5:]
    ctx.save_for_backward(*inputs[:5])


def _backward(ctx: OperatorContext, grad: Tensor) -> tuple[Tensor | None, ...]:
    qkv, padding, table, amplitude, sigma = tensors = ctx.saved_tensors
    if is_backward_differentiated(grad):
        again = differentiable_grads(_unfused_attention, ctx, tensors, grad)
        return *again, None, None, None, None, None
    grad_qkv, grad_padding, of_offsets = _triton_window_attention_backward(
        grad, qkv, padding, table, amplitude, sigma, *ctx.geometry
    )
    grads: list[Tensor | None] = [grad_qkv, None, None, None, None]
    if padding is not None:
        grads[1] = grad_padding
    if table is not None:
        is_shared = table.shape[1] == 1
        of_table = of_offsets.sum(dim=1, keepdim=True) if is_shared else of_offsets
        grads[2] = of_table.to(table.dtype)
    if amplitude is not None:
        grads[3:] = _gaussian_grads(of_offsets, amplitude, sigma, ctx.geometry[1])
    return *grads, None, None, None, None, None


def _unfused_attention(
    qkv: Tensor,
    padding: Tensor | None,
    table: Tensor | None,
    amplitude: Tensor | None,
    sigma: Tensor | None,
    grid: list[int],
    window_size: list[int],
    shift: list[int],
    heads: int,
    scale: float,
) -> Tensor:
    """Compute :func:`triton_window_attention` in differentiable operators."""
    window = (window_size[0], window_size[1])
    offsets = relative_offsets(window, qkv.device)
    bias = offsets.new_zeros(len(offsets), heads) if table is None else table
    if amplitude is not None and sigma is not None:
        bias = bias + gaussian_table(offsets, amplitude, sigma)
    pairs = pairs_of_table(bias, window).expand(heads, -1, -1)
    return unfused_window_attention(qkv, padding, pairs, grid, window_size, shift, scale)


def _gaussian_grads(
    of_offsets: Tensor, amplitude: Tensor, sigma: Tensor, window_size: list[int]
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of amplitude and sigma from those of every offset's bias."""
    squared = relative_offsets((window_size[0], window_size[1]), of_offsets.device).square()
    squared = squared.sum(dim=1, keepdim=True)  # (T, 1)
    if len(amplitude) == 1:
        of_offsets = of_offsets.sum(dim=1, keepdim=True)
    raw = 2 * sigma.square()
    twice_variance = raw.clamp_min(1e-6)
    weighted = of_offsets * torch.exp(-squared / twice_variance)
    of_variance = amplitude.square() * (weighted * squared).sum(dim=0) / twice_variance.square()
    of_sigma = torch.where(raw < 1e-6, 0.0, of_variance * 4 * sigma)
    return 2 * amplitude * weighted.sum(dim=0), of_sigma


triton_window_attention.register_autograd(_backward, setup_context=_save_inputs)


def _kernels(qkv: Tensor, window_size: list[int], heads: int) -> ModuleType:
    """Import the kernels, and check that they support the sizes and the device.

    Raises:
        ImportError: If Triton is not installed.
        ValueError: If a size or the device is not supported.
    """
    name = "attn_backend='triton'"
    if max(window_size) > MAX_WINDOW:
        raise ValueError(
            f'{name} supports windows of up to {MAX_WINDOW} x {MAX_WINDOW} tokens, got '
            f"{window_size[0]} x {window_size[1]}; use 'auto'"
        )
    channels, (low, high) = qkv.shape[1] // 3 // heads, HEAD_DIMS
    if not low <= channels <= high:
        raise ValueError(
            f"{name} supports {low} to {high} channels a head, got {channels}; use 'auto'"
        )
    try:
        from . import triton_kernels
    except ImportError as error:
        raise ImportError(f"{name} needs Triton: pip install triton, or use 'auto'") from error
    if qkv.device.type != 'cuda' and not triton_kernels.IS_INTERPRETED:
        raise ValueError(f"{name} needs a GPU, got tensors on {qkv.device.type}; use 'auto'")
    return triton_kernels


def kernel_sizes(
    dtype: torch.dtype, window_size: Sequence[int], heads: int, channels: int
) -> dict[str, Any]:
    """Return the sizes that the kernels are compiled for, and how they are launched.

    Blocks of queries are as large as registers allow without spilling for windows of 7 x 7 and 32
    channels (``python -m projects.benchmark.kernel_resources``).

    Args:
        dtype: Dtype of queries, keys and values.
        window_size: Height and width of a window.
        heads: Attention heads.
        channels: Channels of a head.
    """
    keys, is_single = _block(math.prod(window_size)), dtype == torch.float32
    queries = 16 if is_single else 64 if keys < 256 else 32
    is_exact = is_single and not torch.backends.cuda.matmul.allow_tf32
    return dict(
        WH=window_size[0],
        WW=window_size[1],
        HEADS=heads,
        D=channels,
        QUERIES=min(keys, queries),
        KEYS=keys,
        CHANNELS=_block(channels),
        PRECISION='ieee' if is_exact else 'tf32',
        num_warps=8 if is_single or keys == 256 else 4,
        num_stages=1,
        maxnreg=168 if is_single else None,  # ptxas alone takes 80 on sm_86 and spills
    )


def _kinds(
    padding: Tensor | None, table: Tensor | None, amplitude: Tensor | None
) -> dict[str, Any]:
    """Return what of the optional inputs there is, which kernels are compiled for."""
    return dict(
        TABLE_HEADS=0 if table is None else table.shape[1],
        GAUSSIANS=0 if amplitude is None else len(amplitude),
        HAS_PADDING=padding is not None,
    )


def _block(size: int) -> int:
    """Return the smallest power of two of at least 16 and ``size``."""
    return max(16, 1 << (size - 1).bit_length())


def _pointers(qkv: Tensor, *optional: Tensor | None) -> list[Tensor]:
    """Return tensors to pass to a kernel, any in the place of one that it does not read."""
    return [qkv, *(qkv if tensor is None else tensor.contiguous() for tensor in optional)]


def _windows(grid: list[int], window_size: list[int]) -> int:
    batch, height, width = grid
    return batch * math.ceil(height / window_size[0]) * math.ceil(width / window_size[1])


def _layout(grid: list[int], window_size: list[int], shift: list[int]) -> tuple[int, ...]:
    """Return sides of the grid, rows and columns of windows, and the shift."""
    (_, height, width), (wh, ww) = grid, window_size
    return height, width, math.ceil(height / wh), math.ceil(width / ww), *shift
