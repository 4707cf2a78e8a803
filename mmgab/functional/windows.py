"""Windows of a token grid: where each token stands in them, and which of them see each other.

A shifted window layer pads a grid, rolls it and cuts it into windows; undoing that takes as many
steps. All of them only put tokens elsewhere, so that together they are one permutation: one gather
in, one gather out, and the gradient of each is a gather too.

After a roll, the windows of the last row and column hold tokens of opposite edges, which
must not see each other. So there are four kinds of windows, and one mask for each kind does for an
image of any size.

Sizes are ``(height, width)`` pairs in tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .tracing import is_transformed, remember


@dataclass(frozen=True)
class WindowGroup:
    """Consecutive windows with the same mask.

    Attributes:
        windows: Which.
        mask: ``(N, N)``, or ``(windows, 1, N, N)`` where each window has its own, True where query
            and key must not see each other; None if all may.
    """

    windows: slice
    mask: Tensor | None


@dataclass(frozen=True)
class WindowOrder:
    """Tokens of a batch of grids in window order.

    Attributes:
        sources: ``(P,)`` int64, the token of each place; 0 for places of padding.
        places: ``(B * H * W,)`` int64, the place of each token.
        padding: int64, the places that hold no token.
        window_tokens: Tokens of a window, ``N``.
        groups: The windows by their kind; all of the batch's windows of a kind stand together.
    """

    sources: Tensor
    places: Tensor
    padding: Tensor
    window_tokens: int
    groups: tuple[WindowGroup, ...]

    @property
    def is_whole(self) -> Tensor:
        """Which windows hold no padding and no mask, ``(windows,)``."""
        count = len(self.sources) // self.window_tokens
        is_whole = torch.zeros(count, dtype=torch.bool, device=self.sources.device)
        for group in self.groups:
            is_whole[group.windows] = group.mask is None
        is_whole[self.padding // self.window_tokens] = False
        return is_whole

    def to_windows(self, tokens: Tensor, padding: Tensor | None) -> Tensor:
        """Put tokens in window order.

        Args:
            tokens: ``(B * H * W, C)``.
            padding: ``(C,)``, what stands in places of padding; None for zeros.

        Returns:
            ``(windows, N, C)``.
        """
        windows = tokens.index_select(0, self.sources)
        if padding is None:
            windows = windows.index_fill_(0, self.padding, 0.0)
        else:
            row = padding.to(windows.dtype).expand(len(self.padding), -1)
            # In its place, except where a transform may have more of the one than of the other.
            put = windows.index_copy if is_transformed() else windows.index_copy_
            windows = put(0, self.padding, row)
        return windows.reshape(-1, self.window_tokens, windows.shape[1])

    def to_tokens(self, windows: Tensor) -> Tensor:
        """Put windows ``(windows, N, ...)`` back as tokens ``(B * H * W, C)``; drops padding."""
        return windows.flatten(2).flatten(0, 1).index_select(0, self.places)


def window_coordinates(
    windows: tuple[int, int],
    window_size: tuple[int, int],
    shift: tuple[int, int],
    device: torch.device | None = None,
) -> tuple[Tensor, Tensor]:
    """Row and column, in the padded grid, of the token in every place of every window.

    Args:
        windows: Rows and columns of windows.
        window_size: Height and width of a window.
        shift: Rows and columns of the cyclic shift; negative for the way back.
        device: Where the result is made.

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
    """Which pairs of tokens a cyclic shift brought into one window from opposite edges.

    Rolling by ``shift`` wraps the first rows and columns around into the last windows, where they
    meet tokens they do not touch in the image (Swin Transformer, arXiv 2103.14030, Figure 4).

    Args:
        windows: Rows and columns of windows.
        window_size: Height and width of a window.
        shift: Rows and columns of the cyclic shift.
        device: Where the mask is made.

    Returns:
        Boolean ``(windows, N, N)``, True where query and key must not see each other.
    """
    (rows, cols), (wh, ww) = windows, window_size
    mask = _in_other_rows(rows, wh, shift[0], device).view(rows, 1, wh, 1, wh, 1)
    mask = mask | _in_other_rows(cols, ww, shift[1], device).view(1, cols, 1, ww, 1, ww)
    return mask.view(rows * cols, wh * ww, wh * ww)


def _in_other_rows(number: int, side: int, shift: int, device: torch.device | None) -> Tensor:
    """Which pairs of rows ``(windows, side, side)`` a cyclic shift brought from opposite edges."""
    is_wrapped = torch.arange(number * side, device=device) >= number * side - shift
    is_wrapped = is_wrapped.view(number, side)
    return is_wrapped[:, :, None] != is_wrapped[:, None, :]


@remember(4)  # window shapes
def _masks(
    window_size: tuple[int, int], shift: tuple[int, int], device: torch.device | None
) -> tuple[Tensor | None, ...]:
    """Masks of the four kinds of windows: inner, last column, last row, corner."""
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
    """Order of the tokens of a batch, the grid padded first and rolled then.

    Args:
        batch: Images, ``B``.
        grid: Height and width of an image's token grid.
        window_size: Height and width of a window.
        shift: Rows and columns of the cyclic shift; zeros for none.
        device: Where the order is made.
        by_kind: Put windows of one kind together; or leave them row by row, image by image, as
            other Swins have them.

    Returns:
        The order, with one group of windows, or with four where there is a shift and they are
        ordered by kind.
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
    places = torch.empty_like(cells).scatter_(0, cells, torch.arange(len(cells), device=device))
    places = places.view(batch, *padded)
    padding = torch.cat((places[:, height:].flatten(), places[:, :height, width:].flatten()))
    places = places[:, :height, :width].flatten()  # (B * H * W,)
    sources = torch.zeros_like(cells)
    sources.scatter_(0, places, torch.arange(len(places), device=device))
    groups, start = [], 0
    for kind, mask in zip(kinds, masks, strict=True):
        stop = start + batch * len(kind)
        groups.append(WindowGroup(slice(start, stop), mask))
        start = stop
    return WindowOrder(sources, places, padding, windows.shape[-1], tuple(groups))
