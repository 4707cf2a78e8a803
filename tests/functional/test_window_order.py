import pytest
import torch
import torch.nn.functional as F

from mmgab.functional import shift_mask, window_order

from .partition import partition_windows

BATCH = 2
LAYOUTS = [  # grid, window, shift
    ((8, 12), (4, 4), (0, 0)),
    ((8, 12), (4, 4), (2, 2)),
    ((7, 9), (3, 5), (0, 0)),
    ((7, 9), (3, 5), (1, 2)),
    ((6, 9), (3, 4), (0, 2)),
    ((5, 3), (2, 7), (1, 3)),
    ((1, 1), (4, 4), (2, 2)),
]


def windows_by_steps(grid, window, shift, filling):
    """Each window's tokens, numbered from 1, and its mask, by padding, rolling and partitioning."""
    numbers = torch.arange(1, BATCH * grid[0] * grid[1] + 1).view(BATCH, *grid, 1)
    missing = (-grid[0] % window[0], -grid[1] % window[1])
    padded = F.pad(numbers, (0, 0, 0, missing[1], 0, missing[0]), value=filling)
    rolled = padded.roll((-shift[0], -shift[1]), dims=(1, 2))
    windows = partition_windows(rolled, window).squeeze(-1)
    rows, cols = (side // own for side, own in zip(padded.shape[1:3], window, strict=True))
    masks = shift_mask((rows, cols), window, shift).repeat(BATCH, 1, 1)
    return sorted(zip(windows.tolist(), masks.tolist(), strict=True))


@pytest.mark.parametrize('filling', [0, -1])
@pytest.mark.parametrize(('grid', 'window', 'shift'), LAYOUTS)
def test_groups_match_pad_roll_partition_and_masks(grid, window, shift, filling):
    order = window_order(BATCH, grid, window, shift)
    numbers = torch.arange(1, BATCH * grid[0] * grid[1] + 1)[:, None]
    padding = torch.tensor([filling]) if filling else None
    windows = order.to_windows(numbers, padding).squeeze(-1)
    nothing = torch.zeros(order.window_tokens, order.window_tokens, dtype=torch.bool)
    found = []
    for group in order.groups:
        mask = nothing if group.mask is None else group.mask
        found += [(tokens, mask.tolist()) for tokens in windows[group.windows].tolist()]
    assert sorted(found) == windows_by_steps(grid, window, shift, filling)


@pytest.mark.parametrize(('grid', 'window', 'shift'), LAYOUTS)
def test_window_partition_is_exactly_reversible(grid, window, shift):
    order = window_order(BATCH, grid, window, shift)
    tokens = torch.randn(BATCH * grid[0] * grid[1], 3)
    assert torch.equal(order.to_tokens(order.to_windows(tokens, torch.randn(3))), tokens)


def test_images_of_all_sizes_share_three_masks():
    orders = [window_order(1, grid, (3, 4), (1, 2)) for grid in [(3, 4), (30, 40), (61, 97)]]
    masks = [group.mask for order in orders for group in order.groups if group.mask is not None]
    assert len(masks) == 9
    assert len({mask.data_ptr() for mask in masks}) == 3
    assert all(mask.shape == (12, 12) for mask in masks)
