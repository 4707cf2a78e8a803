import pytest
import torch
from mmdet.models.backbones.swin import WindowMSA

from mmgab.functional import (
    relative_offsets,
    relative_position_index,
    resize_table,
    square_window,
)


def test_index_is_that_of_mmdet():
    stock = WindowMSA(embed_dims=8, num_heads=1, window_size=(7, 7))
    assert torch.equal(relative_position_index((7, 7)), stock.relative_position_index)


@pytest.mark.parametrize('window', [(7, 7), (2, 5), (1, 4), (1, 1)])
def test_index_points_to_the_row_whose_offset_is_query_minus_key(window):
    height, width = window
    offsets, index = relative_offsets(window), relative_position_index(window)
    assert len(offsets) == (2 * height - 1) * (2 * width - 1)
    for query in range(height * width):
        for key in range(height * width):
            dy, dx = query // width - key // width, query % width - key % width
            assert offsets[index[query, key]].tolist() == [dy, dx]


def test_resizing_to_the_same_window_is_the_identity():
    table = torch.randn(13 * 13, 3)
    assert resize_table(table, (7, 7), (7, 7)) is table


@pytest.mark.parametrize('target', [(12, 12), (4, 4), (5, 8)])
def test_resized_table_keeps_a_constant_and_gets_the_rows_of_its_window(target):
    resized = resize_table(torch.full((13 * 13, 3), 2.5), (7, 7), target)
    assert resized.shape == ((2 * target[0] - 1) * (2 * target[1] - 1), 3)
    torch.testing.assert_close(resized, torch.full_like(resized, 2.5))


def test_square_window_of_a_table():
    assert square_window(13 * 13) == (7, 7)
    assert square_window(1) == (1, 1)
    assert square_window(13 * 15) is None
    assert square_window(4) is None
