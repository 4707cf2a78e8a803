"""tools/analysis_tools/gab_params.py on a trained detector, and on a Swin without Gaussians."""

import json
import math

import pytest
import timm
import torch
from PIL import Image

from mmgab.checkpoints import Contents, read_checkpoint
from mmgab.inspection.gaussian_layers import layers_of, read_network
from mmgab.models import SwinGAB, ViTGAB

from .runs import call

TOOL = 'tools/analysis_tools/gab_params.py'


@pytest.mark.process
def test_table_has_every_layer_of_a_trained_detector(detector, tmp_path, capsys, monkeypatch):
    checkpoint = detector / 'epoch_1.pth'
    code, output = call(TOOL, (checkpoint, '--out', tmp_path / 'gab'), capsys, monkeypatch)
    assert code == 0, output
    (rows,) = json.loads((tmp_path / 'gab.json').read_text()).values()
    contents = Contents.of(read_checkpoint(str(checkpoint)), str(checkpoint))
    assert len(rows) == len(contents.tables())
    for row in rows:
        assert f'{row["layer"]} ' in output
        sigma = contents.swin[f'{row["layer"]}.attn.w_msa.gaussian.sigma']
        assert row['sigma'] == pytest.approx(sigma.abs().tolist())
    for name in ('gab_layers.png', 'gab_tables.png'):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 200


@pytest.mark.slow
def test_gaussian_in_a_stock_table_is_fitted(tmp_path, capsys, monkeypatch):
    model = timm.create_model('swin_tiny_patch4_window7_224', depths=(1, 1, 2, 1))
    name = 'layers.2.blocks.1.attn.relative_position_bias_table'
    dy, dx = torch.meshgrid(torch.arange(-6.0, 7), torch.arange(-6.0, 7), indexing='ij')
    bump = 3 * torch.exp(-(dx**2) / (2 * 1.5**2) - dy**2 / (2 * 2.0**2)) - 1
    tensors = model.state_dict()
    tensors[name] = bump.view(-1, 1).expand(-1, 12).clone()
    torch.save(tensors, tmp_path / 'swin.pth')
    words = (tmp_path / 'swin.pth', '--out', tmp_path / 'gab')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 0, output
    (rows,) = json.loads((tmp_path / 'gab.json').read_text()).values()
    row = next(row for row in rows if row['layer'] == 'stages.2.blocks.1')
    assert (row['sigma'], len(row['fits'])) == ([], 13)
    for fit in row['fits'].values():
        # The minimum is subtracted, so that the fit is close but not exact.
        assert (fit['sigma_x'], fit['sigma_y']) == pytest.approx((1.5, 2.0), rel=0.1)
        assert fit['r_squared'] > 0.99
        assert fit['is_found']
        assert math.hypot(fit['row'] - 3, fit['col'] - 3) < 0.01


def test_maps_are_over_key_query_offsets(tmp_path):
    model = SwinGAB(embed_dims=8, depths=(1,), num_heads=(1,), out_indices=(0,), gab_cfg=None)
    attention = model.stages[0].blocks[0].attn.w_msa
    table = attention.relative_position_bias_table.detach()
    table.copy_(torch.arange(len(table))[:, None])
    (layer,) = layers_of(Contents.of(model.state_dict(), 'model'))
    bias = attention.position_bias()[0]
    query = 24  # the window's centre: row 3, column 3
    for key in (0, 6, 25, 31, 48):
        assert layer.table[0, 3 + key // 7, 3 + key % 7] == bias[query, key]


@pytest.mark.parametrize('kind', ['mlp', 'bias'])
def test_timm_vit_tables_equal_the_bias_of_its_attention(kind, tmp_path):
    sizes = dict(depth=2, embed_dim=48, num_heads=3)
    model = timm.create_model('vit_relpos_small_patch16_224', rel_pos_type=kind, **sizes).eval()
    layers = read_network(model.state_dict(), 'vit')
    assert [layer.name for layer in layers] == ['blocks.0', 'blocks.1']
    for layer, block in zip(layers, model.blocks, strict=True):
        bias = block.attn.rel_pos.get_bias()[0].detach()  # (heads, 196, 196)
        query = 6 * 14 + 5
        for key in (0, 100, 195):
            dy, dx = key // 14 - 6, key % 14 - 5
            assert layer.table[:, 13 + dy, 13 + dx] == pytest.approx(bias[:, query, key].numpy())
        assert (layer.amplitude, layer.gaussian.any()) == ([], False)
        assert layer.fits()['mean'] is not None


@pytest.mark.slow
@pytest.mark.parametrize('rel_pos_cfg', [dict(type='mlp'), dict(type='table'), None])
def test_vit_gab_layers_have_their_gaussians(rel_pos_cfg, tmp_path, capsys, monkeypatch):
    backbone = ViTGAB(
        img_size=(96, 128), embed_dims=16, depth=2, num_heads=2, out_indices=(1,),
        rel_pos_cfg=rel_pos_cfg, gab_cfg=dict(amplitude=2.0, sigma=1.5, per_head=True),
    )  # fmt: skip
    model = torch.nn.ModuleDict(dict(backbone=backbone))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'vit.pth')
    words = (tmp_path / 'vit.pth', '--out', tmp_path / 'gab')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 0, output
    (rows,) = json.loads((tmp_path / 'gab.json').read_text()).values()
    assert [row['layer'] for row in rows] == ['blocks.0', 'blocks.1']
    assert rows[0]['amplitude'] == pytest.approx([4, 4])
    assert rows[0]['sigma'] == pytest.approx([1.5, 1.5])
    if rel_pos_cfg is None:  # only the Gaussian around the central token of 6 x 8
        fit = rows[0]['fits']['mean']
        assert (fit['sigma_x'], fit['sigma_y']) == pytest.approx((1.5, 1.5), rel=0.02)


def test_vit_without_relative_positions_raises(tmp_path, capsys, monkeypatch):
    model = timm.create_model('vit_tiny_patch16_224', depth=1, embed_dim=48, num_heads=2)
    torch.save(model.state_dict(), tmp_path / 'vit.pth')
    words = (tmp_path / 'vit.pth', '--out', tmp_path / 'gab')
    assert 'no Swin' in call(TOOL, words, capsys, monkeypatch)[1]


@pytest.mark.process
def test_checkpoints_with_equal_names_are_distinct(detector, tmp_path, capsys, monkeypatch):
    other = tmp_path / 'epoch_1.pth'
    other.write_bytes((detector / 'epoch_1.pth').read_bytes())
    words = (detector / 'epoch_1.pth', other, '--out', tmp_path / 'gab')
    assert call(TOOL, words, capsys, monkeypatch)[0] == 0
    assert len(json.loads((tmp_path / 'gab.json').read_text())) == 2


def test_invalid_checkpoint_ends_with_one_message(tmp_path, capsys, monkeypatch):
    words = (tmp_path / 'none.pth', '--out', tmp_path / 'gab')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 2
    assert 'error: ' in output
    assert 'none.pth' in output
    assert 'Traceback' not in output


@pytest.mark.process
def test_checkpoints_of_one_run_are_plotted_over_iterations(
    detector, tmp_path, capsys, monkeypatch
):
    later = tmp_path / 'later.pth'
    checkpoint = torch.load(detector / 'epoch_1.pth', weights_only=False)
    checkpoint['meta']['iter'] += 7
    torch.save(checkpoint, later)
    words = (later, detector / 'epoch_1.pth', '--out', tmp_path / 'gab')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 0, output
    assert '_training.png' in output
    order = list(json.loads((tmp_path / 'gab.json').read_text()))
    assert order == [
        str(detector / 'epoch_1.pth'),
        str(later),
    ]  # order of training, not of the arguments
    with Image.open(tmp_path / 'gab_training.png') as image:
        assert min(image.size) > 300
