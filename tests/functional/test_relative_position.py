import pytest
import torch
from mmdet.models.backbones.swin import WindowMSA
from timm.layers.pos_embed_rel import resize_rel_pos_bias_table

from mmgab.functional import (
    relative_offsets,
    relative_position_index,
    resize_table,
    square_window,
    table_window,
    window_of_index,
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


@pytest.mark.parametrize(
    ('source', 'target'),
    [
        ((7, 7), (12, 12)),
        ((12, 12), (7, 7)),
        ((7, 7), (8, 8)),
        ((7, 7), (40, 40)),
        ((3, 5), (6, 4)),
        ((5, 3), (3, 5)),
        ((8, 8), (1, 7)),
    ],
)
def test_tables_are_resized_as_timm_resizes_them(source, target):
    table = torch.randn((2 * source[0] - 1) * (2 * source[1] - 1), 3)
    shape = ((2 * target[0] - 1) * (2 * target[1] - 1), 3)
    theirs = resize_rel_pos_bias_table(table, target, shape, source)
    torch.testing.assert_close(resize_table(table, source, target), theirs, atol=1e-5, rtol=1e-5)


def test_a_table_of_a_larger_window_keeps_the_values_of_near_offsets():
    """Offsets up to 1 exactly: the method's point. Plain interpolation moves them."""
    table = torch.randn(13 * 13, 1)
    resized = resize_table(table, (7, 7), (12, 12)).view(23, 23)
    torch.testing.assert_close(resized[10:13, 10:13], table.view(13, 13)[5:8, 5:8])


@pytest.mark.parametrize('target', [(12, 12), (4, 4), (5, 8)])
def test_resized_table_keeps_a_constant_and_gets_the_rows_of_its_window(target):
    resized = resize_table(torch.full((13 * 13, 3), 2.5), (7, 7), target)
    assert resized.shape == ((2 * target[0] - 1) * (2 * target[1] - 1), 3)
    torch.testing.assert_close(resized, torch.full_like(resized, 2.5))


@pytest.mark.parametrize('window', [(7, 7), (3, 5), (5, 3), (1, 7), (2, 2), (1, 1)])
@pytest.mark.parametrize('flat', [False, True])
def test_window_is_inferred_from_index(window, flat):
    index = relative_position_index(window)
    assert window_of_index(index.flatten() if flat else index) == window


def test_table_window_prefers_metadata_then_index():
    index, table = relative_position_index((3, 5)), torch.zeros(5 * 9, 2)
    assert table_window(table, index, noted=(5, 3)) == (5, 3)
    assert table_window(table, index) == (3, 5)
    assert table_window(table) is None
    assert table_window(torch.zeros(13 * 13, 2)) == (7, 7)


@pytest.mark.parametrize('index', [torch.zeros(0), torch.zeros(3), torch.zeros(49, 49).long()])
@pytest.mark.parametrize('noted', [None, (3, 5), 'seven', (7.0, 7.0), [7, 7, 7]])
def test_mismatched_window_candidates_are_ignored(index, noted):
    assert table_window(torch.zeros(13 * 13, 2), index, noted) == (7, 7)


def test_square_window_of_a_table():
    assert square_window(13 * 13) == (7, 7)
    assert square_window(1) == (1, 1)
    assert square_window(13 * 15) is None
    assert square_window(4) is None
