import pytest
import torch
from torch import nn

from mmgab.deployment import open_pooling_


@pytest.mark.parametrize('size', [(12, 12), (7, 13), (1, 5), (33, 32)])
@pytest.mark.parametrize('output_size', [1, 2, 3, 6, (2, 5), (None, 4)])
def test_open_pooling_is_adaptive_average_pooling(size, output_size):
    stock = nn.Sequential(nn.AdaptiveAvgPool2d(output_size))
    x = torch.randn(2, 3, *size)
    expected = stock(x)
    open_pooling_(stock)
    assert not any(isinstance(module, nn.AdaptiveAvgPool2d) for module in stock.modules())
    torch.testing.assert_close(stock(x), expected)


def test_pooling_is_found_at_any_depth():
    model = nn.Sequential(nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(1)), nn.Conv2d(1, 1, 1))
    open_pooling_(model)
    assert not any(isinstance(module, nn.AdaptiveAvgPool2d) for module in model.modules())
