"""Resizing of tables and position embeddings at load time."""

import pytest
import torch
from mmengine.runner.checkpoint import get_state_dict, weights_to_cpu
from torchvision.models.swin_transformer import SwinTransformer as VisionSwin

from mmgab.checkpoints import Contents, export, load, load_whole_model
from mmgab.functional import resize_table
from mmgab.layers.position_embedding import resize_tokens
from mmgab.models import SwinGAB

from .loaded_models import Detector, assert_equal_maps, features, saved, stock_mmengine
from .projects import OURS as SIZES
from .projects import randomise


def test_table_of_another_window_is_resized_and_reported(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=7).state_dict(), tmp_path / 'swin.pth')
    report = load(SwinGAB(**SIZES, window_size=12), str(tmp_path / 'swin.pth'))
    assert len(report.resized) == 8
    assert 'resized: 8 x stages.*.blocks.*.attn.w_msa.relative_position_bias_table' in str(report)


@pytest.mark.parametrize('way', ['torch', 'mmengine', 'ours', 'whole'])
@pytest.mark.parametrize('source', [7, (3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize('target', [(5, 3), 8])
def test_windows_of_any_shape_are_resized_by_every_loader(way, source, target, tmp_path):
    """Also 3 x 5 into 5 x 3, whose tables have the same shape."""
    file = randomise(SwinGAB(**SIZES, window_size=source))
    model = SwinGAB(**SIZES, window_size=target)
    tensors = weights_to_cpu(get_state_dict(file))  # as MMEngine saves
    if way == 'torch':
        model.load_state_dict(tensors, strict=True)
    elif way == 'mmengine':
        stock_mmengine(model, tensors, tmp_path)
    elif way == 'ours':
        torch.save(dict(state_dict=tensors), tmp_path / 'swin.pth')
        load(model, str(tmp_path / 'swin.pth'))
    else:
        load_whole_model(model, dict(state_dict=tensors), 'swin.pth', strict=True)
    before, after = (m.stages[2].blocks[1].attn.w_msa for m in (file, model))
    expected = resize_table(
        before.relative_position_bias_table, before.window_size, after.window_size
    )
    assert torch.equal(after.relative_position_bias_table, expected)


def test_window_is_inferred_from_index_of_stock_file(tmp_path):
    theirs = VisionSwin([4, 4], 16, [2, 2, 2, 2], [2, 4, 8, 16], [3, 5])
    torch.save(theirs.state_dict(), tmp_path / 'swin.pth')
    model = SwinGAB(**SIZES, window_size=(5, 3), gab_cfg=None)
    load(model, str(tmp_path / 'swin.pth'))
    expected = resize_table(theirs.features[1][0].attn.relative_position_bias_table, (3, 5), (5, 3))
    assert torch.equal(model.stages[0].blocks[0].attn.w_msa.relative_position_bias_table, expected)


@pytest.mark.parametrize('window', [(5, 1), (1, 5)])
def test_one_column_windows_round_trip(window):
    """Their index is that of a row."""
    model = randomise(SwinGAB(**SIZES, window_size=window, gab_cfg=None))
    exported, _ = export(Contents.of(model.state_dict(), 'x'), 'mmgab')
    other = SwinGAB(**SIZES, window_size=window, gab_cfg=None)
    other.load_state_dict(exported['state_dict'], strict=True)
    assert_equal_maps(features(other.eval(), 61, 90), features(model, 61, 90))


def test_wrong_window_metadata_is_ignored():
    """A stale index or metadata entry next to a resized table."""
    tensors = SwinGAB(**SIZES, window_size=7, gab_cfg=None).state_dict()
    table = 'stages.0.blocks.0.attn.w_msa.relative_position_bias_table'
    tensors[table] = torch.randn(23 * 23, 2)
    tensors[table.replace('bias_table', 'index')] = torch.zeros(0)
    model = SwinGAB(**SIZES, window_size=12, gab_cfg=None)
    model.load_state_dict(tensors)
    assert torch.equal(model.state_dict()[table], tensors[table])


def test_sigma_keeps_tokens_or_share_of_window(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=6).state_dict(), tmp_path / 'swin.pth')
    for rescale, expected in ((False, 5.0), (True, 10.0)):
        model = SwinGAB(**SIZES, window_size=12, gab_cfg=dict(rescale_sigma=rescale))
        for _ in range(2):  # loading again does not rescale again
            load(model, str(tmp_path / 'swin.pth'))
            assert model.stages[1].blocks[1].attn.w_msa.gaussian.sigma.tolist() == [expected]


def test_resume_does_not_resize_but_test_does():
    checkpoint = dict(state_dict=Detector(window_size=7).state_dict())
    report = load_whole_model(Detector(window_size=8), checkpoint, 'a.pth', strict=True)
    assert len(report.resized) == 8
    with pytest.raises(ValueError, match='where resizing is not allowed'):
        load_whole_model(Detector(window_size=8), checkpoint, 'a.pth', strict=True, resize=False)


def test_resize_false_rejects_other_window_of_same_table_shape(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=(3, 5)).state_dict(), tmp_path / 'swin.pth')
    model = SwinGAB(**SIZES, window_size=(5, 3))
    with pytest.raises(ValueError, match=r'8 key\(s\) of another window or image size'):
        load(model, str(tmp_path / 'swin.pth'), resize=False)
    assert len(load(model, str(tmp_path / 'swin.pth')).resized) == 8


POSITION = dict(use_abs_pos_embed=True)


@pytest.mark.parametrize(('source', 'target'), [((32, 64), (64, 32)), ((16, 64), (48, 48))])
def test_position_embeddings_of_any_grid_are_resized(source, target, tmp_path):
    file = randomise(SwinGAB(**SIZES, **POSITION, pretrain_img_size=source))
    model = SwinGAB(**SIZES, **POSITION, pretrain_img_size=target).eval()
    report = load(model, saved(tmp_path, file))
    assert report.resized == ['absolute_pos_embed']
    with torch.no_grad():  # both resize it to the image's grid
        grid = tuple(side // 4 for side in source)
        expected = resize_tokens(file.absolute_pos_embed, grid, model.pretrain_grid)
    assert torch.equal(model.absolute_pos_embed, expected)


def test_resize_false_rejects_other_window(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=7).state_dict(), tmp_path / 'swin.pth')
    with pytest.raises(
        ValueError, match=r'8 key\(s\) of another window or image size, where resizing is'
    ):
        load(SwinGAB(**SIZES, window_size=12), str(tmp_path / 'swin.pth'), resize=False)
