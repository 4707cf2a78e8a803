"""Relative positions inside a window: offsets, bias tables and relative-position indices.

A table has one row for each offset ``(dy, dx)`` that two tokens of a window can have, ``dy`` from
``-(Wh - 1)`` to ``Wh - 1`` and within it ``dx`` from ``-(Ww - 1)`` to ``Ww - 1``: the row order of
every published Swin checkpoint.
"""

import math
from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from .tracing import remember

_RATIO_LIMITS = (1.01, 1.5)  # those of the BEiT code


def relative_offsets(window_size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Return the relative offset of every table row.

    Args:
        window_size: Height and width of the window, in tokens.
        device: Device of the result.

    Returns:
        Float32 ``((2Wh-1)(2Ww-1), 2)``: ``(dy, dx)`` in tokens, in table order.
    """
    rows, cols = (2 * side - 1 for side in window_size)
    dy = torch.arange(1 - window_size[0], window_size[0], device=device, dtype=torch.float32)
    dx = torch.arange(1 - window_size[1], window_size[1], device=device, dtype=torch.float32)
    # Not cartesian_prod(), which older exporters do not support.
    pairs = torch.stack((dy[:, None].expand(-1, cols), dx[None].expand(rows, -1)), dim=2)
    return pairs.view(-1, 2)


@remember(16)
def window_offsets(window_size: tuple[int, int], device: torch.device) -> Tensor:
    """Return :func:`relative_offsets` from a cache that all layers share."""
    return relative_offsets(window_size, device)


def gaussian_table(offsets: Tensor, amplitude: Tensor, sigma: Tensor) -> Tensor:
    r"""Compute the Gaussian attention bias of every relative offset.

    .. math:: B(dy, dx) = a^2 \exp\left(-\frac{dy^2 + dx^2}{2 \sigma^2}\right)

    (arXiv 2305.04722, the Gaussian attention bias, as the authors' code parametrises it: the
    amplitude enters squared, and the peak is not normalised). Finite, with finite gradients, for
    any sigma; at 0 it is the limit, ``a^2`` at offset zero and 0 elsewhere.

    Args:
        offsets: ``(T, 2)``, ``(dy, dx)`` in tokens.
        amplitude: ``(1,)`` or ``(heads,)``, the ``a`` above; ``a^2`` is in logits.
        sigma: ``(1,)`` or ``(heads,)``, in tokens; its sign does not matter.

    Returns:
        ``(T, 1)`` or ``(T, heads)``, in logits.
    """
    squared_distance = offsets.square().sum(dim=1, keepdim=True)  # (T, 1), tokens^2
    # exp(-1 / 1e-6) is exactly 0 in single and double precision. Clamping therefore changes
    # neither values nor the (zero) gradient and avoids a division by zero. A literal, as
    # TorchScript reads no globals.
    twice_variance = (2 * sigma.square()).clamp_min(1e-6)
    return amplitude.square() * torch.exp(-squared_distance / twice_variance)


def pairs_of_table(
    table: Tensor, window_size: tuple[int, int], index: Tensor | None = None
) -> Tensor:
    """Look up the table value of every pair of tokens of a window.

    Args:
        table: ``((2Wh-1)(2Ww-1), heads)``.
        window_size: Height and width of the window, in tokens.
        index: :func:`relative_position_index`, which is faster for small windows. Without an
            index, values are crops of the table and bit-identical. An index has ``N * N`` int64
            entries: 134 MB for 64 x 64 tokens.

    Returns:
        ``(heads, N, N)``, query before key.
    """
    if index is not None:
        return table[index].permute(2, 0, 1)
    # The rows of one query are a crop of the flipped table; unfold makes all crops as views.
    wh, ww = window_size
    grid = table.t().unflatten(1, (2 * wh - 1, 2 * ww - 1)).flip(1, 2)
    crops = grid.unfold(1, wh, 1).unfold(2, ww, 1)  # (heads, Wh, Ww, Wh, Ww), last query first
    return crops.flip(1, 2).flatten(3).flatten(1, 2)


def table_of_pairs(pairs: Tensor, window_size: tuple[int, int]) -> Tensor:
    """Sum the values of all pairs with the same offset: the adjoint of :func:`pairs_of_table`.

    Args:
        pairs: ``(heads, N, N)``, query before key.
        window_size: Height and width of the window, in tokens.

    Returns:
        ``((2Wh-1)(2Ww-1), heads)``.
    """
    offsets = pairs.new_zeros(len(pairs), *(2 * side - 1 for side in window_size))
    pairs = pairs.flip(1).unflatten(2, window_size).unflatten(1, window_size)
    add_pairs_(offsets, pairs)
    return offsets.flatten(1).t().flip(0)


def add_pairs_(offsets: Tensor, pairs: Tensor, top: int = 0, left: int = 0) -> None:
    """Add the values of pairs of tokens to those of their offsets, in a fixed order.

    Args:
        offsets: ``(heads, 2H-1, 2W-1)``, the largest offset first; changed in place.
        pairs: ``(heads, rows, cols, H, W)``: queries of a rectangle before all keys, queries in
            reverse order, so that query ``(y, x)`` and key ``(y', x')`` are at ``(y + y', x +
            x')``.
        top: First row of the queries.
        left: First column of the queries.
    """
    heads, rows, cols, height, width = pairs.shape
    reach = cols + width - 1  # columns that a row of queries reaches
    # Each query is written one column to the right of the one before, and then all are summed.
    shifted = pairs.new_zeros(heads, rows, cols, height, reach)
    area = height * reach
    strides = (rows * cols * area, cols * area, area + 1, reach, 1)
    shifted.as_strided(pairs.shape, strides).copy_(pairs)
    for row, values in enumerate(shifted.sum(dim=2).unbind(1), top):
        offsets[:, row : row + height, left : left + reach] += values


def relative_position_index(
    window_size: tuple[int, int], device: torch.device | None = None
) -> Tensor:
    """Compute the table row of every pair of tokens of a window.

    Args:
        window_size: Height and width of the window, in tokens.
        device: Device of the result.

    Returns:
        Int64 ``(N, N)``, ``N = Wh * Ww``: entry ``[query, key]`` is the row of ``query - key``.
    """
    wh, ww = window_size
    rows = torch.arange((2 * wh - 1) * (2 * ww - 1), device=device)
    return pairs_of_table(rows[:, None], window_size)[0]


@remember(8)
def window_index(window_size: tuple[int, int], device: torch.device) -> Tensor:
    """Return :func:`relative_position_index` from a cache that all layers share."""
    return relative_position_index(window_size, device)


def resize_table(table: Tensor, source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Resize a relative-position table to another window by BEiT's geometric interpolation.

    The rows of the source are taken to lie at offsets ``0, 1, 1 + q, 1 + q + q^2, ...``, with the
    ratio ``q`` chosen so that the last one is the target's largest offset. The target's integer
    offsets are interpolated linearly between them. Near offsets keep their values, where uniform
    interpolation would stretch the whole table. (Bao et al., arXiv 2106.08254, in the released
    fine-tuning code; linear as in timm, where that code is cubic.)

    Args:
        table: ``((2Sh-1)(2Sw-1), heads)`` of the source window.
        source: Height and width of the window that the table was learned for.
        target: Height and width of the new window.

    Returns:
        ``((2Th-1)(2Tw-1), heads)``, the table itself where the windows are equal.
    """
    if tuple(source) == tuple(target):
        return table
    # Not every device has double precision.
    dtype, device = torch.promote_types(table.dtype, torch.float32), table.device
    rows = _interpolation(source[0], target[0], device, dtype)  # (2Th-1, 2Sh-1)
    columns = _interpolation(source[1], target[1], device, dtype)  # (2Tw-1, 2Sw-1)
    grid = table.to(device, dtype).unflatten(0, (2 * source[0] - 1, 2 * source[1] - 1))
    return torch.einsum('ty,yxh,sx->tsh', rows, grid, columns).flatten(0, 1).to(table.dtype)


@remember(16)  # two axes of eight sizes
def _interpolation(source: int, target: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Compute one axis' interpolation weights ``(2T-1, 2S-1)`` from source to target offsets."""
    return _interpolation_on_cpu(source, target).to(device, dtype)


def _interpolation_on_cpu(source: int, target: int) -> Tensor:
    cpu = torch.device('cpu')  # whatever the default device is
    offsets = _geometric_offsets(source - 1, target - 1)
    half = torch.tensor(offsets, dtype=torch.float64, device=cpu)
    positions = torch.cat((-half.flip(0), half.new_zeros(1), half))  # (2S-1,)
    wanted = torch.arange(1 - target, target, dtype=torch.float64, device=cpu)
    wanted = wanted.clamp(positions[0], positions[-1])
    right = torch.searchsorted(positions, wanted).clamp(1, max(len(positions) - 1, 1))
    weights = half.new_zeros(len(wanted), len(positions))
    if len(positions) == 1:
        return weights + 1
    left = right - 1
    fraction = (wanted - positions[left]) / (positions[right] - positions[left])
    weights.scatter_(1, left[:, None], 1 - fraction[:, None])
    return weights.scatter_(1, right[:, None], fraction[:, None])


def _geometric_offsets(count: int, last: int) -> list[float]:
    """Return ``count`` partial sums of a geometric series from 1, the last one at ``last``."""
    low, high = _RATIO_LIMITS
    while high - low > 1e-6:
        ratio = (low + high) / 2
        is_too_wide = (1 - ratio**count) / (1 - ratio) > last
        low, high = (low, ratio) if is_too_wide else (ratio, high)
    return [(1 - ratio ** (i + 1)) / (1 - ratio) for i in range(count)]


def square_window(table_rows: int) -> tuple[int, int] | None:
    """Return the square window whose table has that many rows, ``(2W-1)^2``, or None."""
    side = math.isqrt(table_rows)
    if side * side != table_rows or side % 2 == 0:
        return None
    return ((side + 1) // 2,) * 2


def table_window(
    table: Tensor, index: Tensor | None = None, noted: object = None
) -> tuple[int, int] | None:
    """Infer the window that a table was learned for.

    A candidate counts only if a window of that size has as many rows as the table.

    Args:
        table: ``((2Wh-1)(2Ww-1), heads)``.
        index: The relative-position index saved with it, or None.
        noted: Height and width saved in the state dict's metadata, or None.

    Returns:
        Height and width in tokens: those of the metadata, of the index or of a square window, in
        this order; None if no candidate matches the table's rows.
    """
    claims = (noted, None if index is None else window_of_index(index), square_window(len(table)))
    for claim in claims:
        if _is_pair(claim) and (2 * claim[0] - 1) * (2 * claim[1] - 1) == len(table):
            return claim[0], claim[1]
    return None


def _is_pair(value: object) -> TypeGuard[Sequence[int]]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        return False
    return all(isinstance(side, int) and side > 0 for side in value)


def window_of_index(index: Tensor) -> tuple[int, int] | None:
    """Infer the window of an index, the inverse of :func:`relative_position_index`.

    Args:
        index: ``(N, N)``, or flat.

    Returns:
        Height and width in tokens, or None if the tensor is not an index. A window of one column
        is reported as one of one row, which has the same index.
    """
    tokens = math.isqrt(index.numel())
    if tokens == 0 or tokens * tokens != index.numel():
        return None
    first_column = index.reshape(tokens, tokens)[:, 0]  # a step of 1 to the right, of 2Ww-1 down
    steps_down = (first_column.diff() != 1).nonzero()
    width = int(steps_down[0]) + 1 if len(steps_down) else tokens
    return (tokens // width, width)


def in_dtype(bias: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast a bias, clamped to half the dtype's range so that adding scores cannot overflow."""
    if bias.dtype == dtype:
        return bias
    limit = torch.finfo(dtype).max / 2
    return bias.clamp(-limit, limit).to(dtype)
