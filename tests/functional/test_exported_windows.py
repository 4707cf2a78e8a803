import pytest
import torch

from mmgab.functional import to_exported_tokens, to_exported_windows, window_attention


@pytest.mark.parametrize('with_padding', [True, False])
@pytest.mark.parametrize('is_shifted', [True, False])
@pytest.mark.parametrize(
    ('grid', 'window'),
    [((4, 6), (2, 3)), ((5, 7), (3, 2)), ((7, 5), (4, 4)), ((1, 2), (4, 4)), ((3, 9), (1, 5))],
)
def test_exported_windows_equal_window_attention(grid, window, is_shifted, with_padding):
    shift = (window[0] // 2, window[1] // 2) if is_shifted else (0, 0)
    size = window[0] * window[1]
    qkv, bias = torch.randn(2, grid[0] * grid[1], 12), torch.randn(2, size, size)
    padding = torch.randn(12) if with_padding else None
    last = torch.zeros(2, 1, 12) if padding is None else padding.expand(2, 1, 12)
    parts = torch.cat((qkv, last), dim=1).chunk(3, dim=2)
    q, k, v, mask = to_exported_windows(parts, 2, (2, *grid), window, shift)
    scores = (q @ k.transpose(-2, -1) + bias).masked_fill(mask, -torch.inf)
    attended = scores.softmax(dim=-1) @ v
    exported = to_exported_tokens(attended, (2, *grid), window, shift)
    geometry = ((2, *grid), window, shift)
    expected = window_attention(qkv.flatten(0, 1), padding, bias, *geometry, 1.0)
    torch.testing.assert_close(exported.flatten(0, 1), expected)
