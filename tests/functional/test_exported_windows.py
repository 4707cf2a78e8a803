import pytest
import torch

from mmgab.functional import attend_in_exported_windows, attend_in_windows, mask_bias, window_order


def attend(q, k, v, bias, mask):
    return (q @ k.transpose(-2, -1) + mask_bias(bias, mask)).softmax(dim=-1) @ v


@pytest.mark.parametrize('with_padding', [True, False])
@pytest.mark.parametrize('is_shifted', [True, False])
@pytest.mark.parametrize(
    ('grid', 'window'),
    [((4, 6), (2, 3)), ((5, 7), (3, 2)), ((7, 5), (4, 4)), ((1, 2), (4, 4)), ((3, 9), (1, 5))],
)
def test_what_is_exported_is_attention_in_windows(grid, window, is_shifted, with_padding):
    shift = (window[0] // 2, window[1] // 2) if is_shifted else (0, 0)
    size = window[0] * window[1]
    qkv, bias = torch.randn(2, grid[0] * grid[1], 12), torch.randn(2, size, size)
    padding = torch.randn(12) if with_padding else None
    last = torch.zeros(2, 1, 12) if padding is None else padding.expand(2, 1, 12)
    parts = torch.cat((qkv, last), dim=1).chunk(3, dim=2)
    exported = attend_in_exported_windows(parts, bias, (2, *grid), window, shift, attend)
    order = window_order(2, grid, window, shift, qkv.device)
    expected = attend_in_windows(qkv.flatten(0, 1), padding, bias, order, attend)
    torch.testing.assert_close(exported.flatten(0, 1), expected)
