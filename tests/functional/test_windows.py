import pytest
import torch

from mmgab.functional import shift_mask, window_order

from .partition import partition_windows


def test_a_window_holds_neighbouring_tokens_row_by_row():
    order = window_order(1, (4, 6), (2, 3), (0, 0))
    windows = order.to_windows(torch.arange(4 * 6)[:, None], None).squeeze(-1)
    assert windows[0].tolist() == [0, 1, 2, 6, 7, 8]
    assert windows[1].tolist() == [3, 4, 5, 9, 10, 11]
    assert windows[2].tolist() == [12, 13, 14, 18, 19, 20]


@pytest.mark.parametrize('window', [(7, 7), (2, 5), (1, 3)])
def test_windows_of_an_image_stand_together_and_keep_their_channels(window):
    grid = (2 * window[0], 3 * window[1])
    x = torch.randn(2, *grid, 4)
    windows = window_order(2, grid, window, (0, 0)).to_windows(x.flatten(0, 2), None)
    assert windows.shape == (2 * 6, window[0] * window[1], 4)
    assert torch.equal(windows, partition_windows(x, window))


@pytest.mark.parametrize(
    ('window', 'shift'), [((4, 4), (2, 2)), ((3, 5), (1, 2)), ((3, 4), (0, 2))]
)
def test_shift_mask_allows_only_image_neighbours(window, shift):
    """By definition: after the roll, neighbours in a window keep their distance in the image."""
    grid = (3 * window[0], 2 * window[1])
    rows, cols = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing='ij')
    place = torch.stack((rows, cols), dim=-1)[None]  # (1, H, W, 2), where a token is in the image
    rolled = partition_windows(place.roll((-shift[0], -shift[1]), dims=(1, 2)), window)
    home = partition_windows(place, window)
    in_image = rolled[:, :, None] - rolled[:, None]
    in_window = home[:, :, None] - home[:, None]
    apart = (in_image != in_window).any(dim=-1)
    assert torch.equal(shift_mask((3, 2), window, shift), apart)
    assert apart.any()


def test_every_token_sees_itself():
    mask = shift_mask((2, 2), (7, 7), (3, 3))
    assert not mask.diagonal(dim1=1, dim2=2).any()
