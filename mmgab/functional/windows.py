"""Window partition of a token grid as one permutation, and the masks of shifted windows.

Pad, cyclic shift and window partition only move tokens. Together they are one permutation: one
gather in, one gather out.

After a cyclic shift, the windows of the last row and column hold tokens of opposite edges, which
must not attend to each other. There are four kinds of windows (inner, last column, last row and
corner), and one mask per kind serves images of any size.

Sizes are ``(height, width)`` pairs in tokens.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .tracing import is_transformed, remember

_CHUNK_BYTES = 4 * 2**20  # of scores; other sizes from 2 to 8 MiB are as fast


@dataclass(frozen=True)
class WindowGroup:
    """Consecutive windows with the same mask.

    Attributes:
        windows: Their slice of the batch's windows.
        mask: ``(N, N)``, or ``(windows, 1, N, N)`` where each window has its own, True where a
            query must not attend to a key; None for no mask.
    """

    windows: slice
    mask: Tensor | None


@dataclass(frozen=True)
class WindowOrder:
    """Permutation of a batch's tokens into window slots.

    Attributes:
        sources: ``(P,)`` int64, the token of each slot; 0 for padding slots.
        slots: ``(B * H * W,)`` int64, the slot of each token.
        padding: int64, the slots that hold padding.
        window_tokens: Tokens of a window, ``N``.
        groups: The windows grouped by mask.
    """

    sources: Tensor
    slots: Tensor
    padding: Tensor
    window_tokens: int
    groups: tuple[WindowGroup, ...]

    @property
    def is_complete(self) -> Tensor:
        """Boolean ``(windows,)``, True for windows without padding and without a mask."""
        count = len(self.sources) // self.window_tokens
        is_complete = torch.zeros(count, dtype=torch.bool, device=self.sources.device)
        for group in self.groups:
            is_complete[group.windows] = group.mask is None
        is_complete[self.padding // self.window_tokens] = False
        return is_complete

    def to_windows(self, tokens: Tensor, padding: Tensor | None) -> Tensor:
        """Partition tokens into windows.

        Args:
            tokens: ``(B * H * W, C)``.
            padding: ``(C,)``, the value of padding slots; None for zeros.

        Returns:
            ``(windows, N, C)``.
        """
        windows = tokens.index_select(0, self.sources)
        if padding is None:
            windows = windows.index_fill_(0, self.padding, 0.0)
        else:
            row = padding.to(windows.dtype).expand(len(self.padding), -1)
            # In place, except under transforms, which may have batched only one of the two.
            put = windows.index_copy if is_transformed() else windows.index_copy_
            windows = put(0, self.padding, row)
        return windows.reshape(-1, self.window_tokens, windows.shape[1])

    def to_tokens(self, windows: Tensor) -> Tensor:
        """Reverse windows ``(windows, N, ...)`` to tokens ``(B * H * W, C)``, without padding."""
        return windows.flatten(2).flatten(0, 1).index_select(0, self.slots)


def mask_bias(bias: Tensor, mask: Tensor | None) -> Tensor:
    """Set a bias to minus infinity where a query must not attend to a key.

    Other Swin implementations add -100, which a large enough score can exceed.
    """
    return bias if mask is None else bias.masked_fill(mask, -math.inf)


def split_heads(x: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Split ``(windows, N, parts * heads * head_dim)`` into ``(windows, heads, N, head_dim)``."""
    return x.unflatten(2, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def heads_first(x: Tensor, parts: int, heads: int) -> Tensor:
    """Copy ``(windows, N, parts * heads * head_dim)`` to ``(parts, windows, heads, N, head_dim)``.

    Numbers are copied as 64-bit integers if possible: torch copies short rows one by one.
    """
    x = x.unflatten(2, (parts, heads, -1)).permute(2, 0, 3, 1, 4)
    is_wide = x.shape[-1] * x.element_size() % 8 == 0
    return x.view(torch.int64).contiguous().view(x.dtype) if is_wide else x.contiguous()


def tokens_first_(out: Tensor, x: Tensor) -> None:
    """Reverse :func:`heads_first`, into ``out``, ``(windows, N, parts, heads, head_dim)``."""
    if x.shape[-1] * x.element_size() % 8 == 0:
        out, x = out.view(torch.int64), x.view(torch.int64)
    out.copy_(x.permute(1, 3, 0, 2, 4))


def is_in_chunks(windows: Tensor, bias: Tensor) -> bool:
    """Return True if windows are to be processed in chunks: on a CPU, if the scores of one fit.

    Args:
        windows: Queries, keys and values.
        bias: ``(heads, N, N)``, of the scores of one window.
    """
    return windows.device.type == 'cpu' and bias.numel() * windows.element_size() <= _CHUNK_BYTES


def window_chunks(windows: Tensor, bias: Tensor) -> Iterator[slice]:
    """Yield slices of windows: chunks of equal size, or all (:func:`is_in_chunks`).

    Args:
        windows: ``(windows, N, ...)``.
        bias: ``(heads, N, N)``, of the scores of one window.
    """
    number = 1
    if is_in_chunks(windows, bias):
        scores = len(windows) * bias.numel() * windows.element_size()
        number = max(math.ceil(scores / _CHUNK_BYTES), 1)
    size = max(math.ceil(len(windows) / number), 1)
    for start in range(0, len(windows), size):
        yield slice(start, min(start + size, len(windows)))


def number_of_windows(grid: Sequence[int], window_size: Sequence[int]) -> int:
    """Return the number of windows."""
    batch, height, width = grid
    return batch * math.ceil(height / window_size[0]) * math.ceil(width / window_size[1])


def window_coordinates(
    windows: tuple[int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:
    """Return row and column, in the padded grid, of the token in every slot of every window.

    Args:
        windows: Rows and columns of windows.
        window_size: Height and width of a window.
        shift: Rows and columns of the cyclic shift; negative for its inverse.
        device: Device of the result.

    Returns:
        Int64 ``(rows, 1, Wh, 1)`` and ``(1, columns, 1, Ww)``.
    """
    (rows, cols), (wh, ww) = windows, window_size
    y = torch.arange(rows * wh, device=device).roll(-shift[0], dims=0)
    x = torch.arange(cols * ww, device=device).roll(-shift[1], dims=0)
    return y.view(rows, 1, wh, 1), x.view(1, cols, 1, ww)


def shift_mask(
    windows: tuple[int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
    device: torch.device | None = None,
) -> Tensor:
    """Compute the attention mask of shifted windows.

    Rolling by ``shift`` wraps the first rows and columns around into the last windows, where they
    meet tokens that are not their neighbours (Swin Transformer, arXiv 2103.14030, Figure 4).

    Args:
        windows: Rows and columns of windows.
        window_size: Height and width of a window.
        shift: Rows and columns of the cyclic shift.
        device: Device of the mask.

    Returns:
        Boolean ``(windows, N, N)``, True where a query must not attend to a key.
    """
    (rows, cols), (wh, ww) = windows, window_size
    mask = _in_other_rows(rows, wh, shift[0], device).view(rows, 1, wh, 1, wh, 1)
    mask = mask | _in_other_rows(cols, ww, shift[1], device).view(1, cols, 1, ww, 1, ww)
    return mask.view(rows * cols, wh * ww, wh * ww)


def _in_other_rows(number: int, side: int, shift: int, device: torch.device | None) -> Tensor:
    """Return True for pairs of rows ``(windows, side, side)`` from opposite edges of the grid."""
    is_wrapped = torch.arange(number * side, device=device) >= number * side - shift
    is_wrapped = is_wrapped.view(number, side)
    # Not `!=`: TorchInductor (2.9) cannot bound it for booleans.
    return is_wrapped[:, :, None] ^ is_wrapped[:, None, :]


@remember(4)  # window shapes
def _masks(
    window_size: tuple[int, int], shift: tuple[int, int], device: torch.device | None
) -> tuple[Tensor | None, ...]:
    """Return the masks of the four kinds of windows: inner, last column, last row, corner."""
    # An image of 2 x 2 windows has one window of each kind.
    return None, *shift_mask((2, 2), window_size, shift, device)[1:]


@remember(16)  # four stages, shifted and not, of two image sizes
def window_order(
    batch: int,
    grid: tuple[int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
    device: torch.device | None = None,
    by_kind: bool = True,
) -> WindowOrder:
    """Return the permutation that pads, shifts and partitions a batch's token grids.

    Args:
        batch: Images, ``B``.
        grid: Height and width of an image's token grid.
        window_size: Height and width of a window.
        shift: Rows and columns of the cyclic shift; zeros for none.
        device: Device of the index tensors.
        by_kind: True sorts windows by their mask; False keeps them row by row, image by image, as
            other Swin implementations do.

    Returns:
        The permutation. It has four groups of windows if they are shifted and ``by_kind`` is True,
        otherwise one.
    """
    height, width = grid
    rows, cols = -(-height // window_size[0]), -(-width // window_size[1])  # windows
    padded = (rows * window_size[0], cols * window_size[1])
    y, x = window_coordinates((rows, cols), window_size, shift, device)
    windows = (y * padded[1] + x).view(rows, cols, -1)  # (rows, cols, N), cells of the padded grid
    kinds = [windows.flatten(0, 1)]
    masks: Sequence[Tensor | None] = [None]
    if any(shift) and not by_kind:
        of_image = shift_mask((rows, cols), window_size, shift, device)
        masks = [of_image[:, None].repeat(batch, 1, 1, 1)]  # (windows, 1, N, N)
    elif any(shift):
        kinds = [
            *(windows[:-1, :-1].flatten(0, 1), windows[:-1, -1]),
            *(windows[-1, :-1], windows[-1, -1:]),
        ]
        masks = _masks(window_size, shift, device)

    image = torch.arange(batch, device=device).view(-1, 1, 1) * (padded[0] * padded[1])
    cells = torch.cat([(image + kind).flatten() for kind in kinds])  # (P,)
    slots = torch.empty_like(cells).scatter_(0, cells, torch.arange(len(cells), device=device))
    slots = slots.view(batch, *padded)
    padding = torch.cat((slots[:, height:].flatten(), slots[:, :height, width:].flatten()))
    slots = slots[:, :height, :width].flatten()  # (B * H * W,)
    sources = torch.zeros_like(cells)
    sources.scatter_(0, slots, torch.arange(len(slots), device=device))
    groups, start = [], 0
    for kind, mask in zip(kinds, masks, strict=True):
        stop = start + batch * len(kind)
        groups.append(WindowGroup(slice(start, stop), mask))
        start = stop
    return WindowOrder(sources, slots, padding, windows.shape[-1], tuple(groups))
