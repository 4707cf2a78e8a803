"""FLOPs of the attention operators, for torch's ``FlopCounterMode``; arguments are shapes."""

import torch
from torch.utils.flop_counter import register_flop_formula

from . import attention_operator, tiled_attention_operator  # noqa: F401  (registers the operators)
from .windows import number_of_windows


@register_flop_formula(torch.ops.mmgab.window_attention)
def _window_flops(
    qkv: list,
    padding: list | None,
    bias: list,
    grid: list,
    window_size: list,
    *_: object,
    **kw: object,
) -> int:
    return 2 * _window_products(qkv, bias, grid, window_size)  # scores, values


@register_flop_formula(torch.ops.mmgab.window_attention_backward)
def _window_flops_backward(
    grad: list,
    qkv: list,
    padding: list | None,
    bias: list,
    kept: list,
    grid: list,
    window_size: list,
    *_: object,
    **kw: object,
) -> int:
    products = 4 if kept[0] else 5  # four gradients, scores that are computed again
    return products * _window_products(qkv, bias, grid, window_size)


def _window_products(qkv: list, bias: list, grid: list, window_size: list) -> int:
    """Count the FLOPs of all windows' scores: two for each pair of tokens and channel."""
    return 2 * number_of_windows(grid, window_size) * bias[1] * bias[2] * (qkv[1] // 3)


@register_flop_formula(torch.ops.mmgab.tiled_attention)
def _tiled_flops(qkv: list, table: list | None, grid: list, *_: object, **kw: object) -> int:
    return 2 * _tiled_products(qkv, grid)  # scores, values


@register_flop_formula(torch.ops.mmgab.tiled_attention_backward)
def _tiled_flops_backward(
    grad: list, qkv: list, table: list | None, grid: list, *_: object, **kw: object
) -> int:
    return 5 * _tiled_products(qkv, grid)  # recomputed scores, four gradients


def _tiled_products(qkv: list, grid: list) -> int:
    """Count the FLOPs of all scores: two for each pair of tokens and channel."""
    batch, height, width = grid
    return 2 * batch * (height * width) ** 2 * (qkv[1] // 3)
