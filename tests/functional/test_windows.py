import pytest
import torch

from mmgab.functional import merge_windows, pad_to_multiple, partition_windows, shift_mask


@pytest.mark.parametrize('window', [(7, 7), (2, 5), (1, 3)])
def test_merging_undoes_partitioning(window):
    x = torch.randn(2, 2 * window[0], 3 * window[1], 4)
    windows = partition_windows(x, window)
    assert windows.shape == (2 * 6, window[0] * window[1], 4)
    assert torch.equal(merge_windows(windows, window, x.shape[1:3]), x)


def test_a_window_holds_neighbouring_tokens_row_by_row():
    x = torch.arange(4 * 6).view(1, 4, 6, 1)
    windows = partition_windows(x, (2, 3)).squeeze(-1)
    assert windows[0].tolist() == [0, 1, 2, 6, 7, 8]
    assert windows[1].tolist() == [3, 4, 5, 9, 10, 11]
    assert windows[2].tolist() == [12, 13, 14, 18, 19, 20]


@pytest.mark.parametrize(
    ('size', 'padded'), [((1, 1), (7, 5)), ((7, 10), (7, 10)), ((8, 11), (14, 15))]
)
def test_padding_adds_zeros_below_and_right_up_to_whole_windows(size, padded):
    x = torch.randn(2, *size, 3)
    out = pad_to_multiple(x, (7, 5))
    assert out.shape == (2, *padded, 3)
    assert torch.equal(out[:, : size[0], : size[1]], x)
    assert out.abs().sum() == x.abs().sum()


@pytest.mark.parametrize(
    ('window', 'shift'), [((4, 4), (2, 2)), ((3, 5), (1, 2)), ((3, 4), (0, 2))]
)
def test_tokens_of_a_window_see_each_other_only_if_they_are_neighbours_in_the_image(window, shift):
    """By definition: after the roll, neighbours in a window keep their distance in the image."""
    grid = (3 * window[0], 2 * window[1])
    rows, cols = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing='ij')
    place = torch.stack((rows, cols), dim=-1)[None]  # (1, H, W, 2), where a token is in the image
    rolled = partition_windows(place.roll((-shift[0], -shift[1]), dims=(1, 2)), window)
    home = partition_windows(place, window)
    in_image = rolled[:, :, None] - rolled[:, None]
    in_window = home[:, :, None] - home[:, None]
    apart = (in_image != in_window).any(dim=-1)
    assert torch.equal(shift_mask(grid, window, shift), apart)
    assert apart.any()


def test_every_token_sees_itself():
    mask = shift_mask((14, 14), (7, 7), (3, 3))
    assert not mask.diagonal(dim1=1, dim2=2).any()
