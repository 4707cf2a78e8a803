"""Files of timm's plain ViTs and of our own in ViTGAB."""

import pytest
import timm
import torch
from mmengine.registry import MODELS
from torch import nn

from mmgab.checkpoints import load_vit, load_whole_model
from mmgab.functional import resize_table
from mmgab.models import ViTGAB

from .small_vits import NETWORKS, PLAIN, TIMM, stir, vit

every_network = pytest.mark.parametrize('name', NETWORKS)


@every_network
def test_timm_weights_give_timm_outputs(name, timm_file):
    theirs, path = timm_file(name)
    ours = ViTGAB(gab_cfg=None, **NETWORKS[name][2]).eval()
    report = load_vit(ours, path)
    assert not report.missing
    x = torch.randn(2, 3, 56, 40)
    found = ours(x)[0].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, theirs.forward_features(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['MLP', 'table', 'plain'])
def test_resized_network_equals_timm_set_input_size(name, timm_file):
    """A position MLP supports every size. Tables and embeddings are resized."""
    _, path = timm_file(name, img_size=40)  # a file does not say which sides a grid has
    architecture, arguments, own = NETWORKS[name]
    ours = ViTGAB(gab_cfg=None, **{**own, 'img_size': 40}).eval()
    load_vit(ours, path)
    larger = ViTGAB(gab_cfg=None, **{**own, 'img_size': (72, 104)}).eval()
    assert bool(load_vit(larger, path).resized) == (name != 'MLP')
    x = torch.randn(1, 3, 72, 104)
    torch.testing.assert_close(ours(x)[0], larger(x)[0], rtol=1e-4, atol=1e-5)
    if name == 'MLP':
        theirs = timm.create_model(architecture, **{**TIMM, **arguments, 'img_size': (72, 104)})
        theirs.load_state_dict(torch.load(path))
        expected = theirs.eval().forward_features(x)
        found = ours(x)[0].flatten(2).transpose(1, 2)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_class_token_is_ignored_and_reported(timm_file):
    _, path = timm_file('plain', class_token=True, global_pool='token')
    model = ViTGAB(**dict(PLAIN, gab_cfg={}))
    report = load_vit(model, path)
    assert 'cls_token' in report.unexpected
    assert all('gaussian' in name for name in report.missing)
    saved = torch.load(path)['pos_embed'][:, 1:]
    torch.testing.assert_close(model.pos_embed.detach(), saved)


def test_class_token_rows_of_table_are_dropped(timm_file):
    square = dict(img_size=40)
    theirs, path = timm_file('table', class_token=True, global_pool='token', **square)
    model = ViTGAB(**{**NETWORKS['table'][2], **square})
    report = load_vit(model, path)
    table = theirs.blocks[0].attn.rel_pos.relative_position_bias_table[:-3]
    found = model.blocks[0].attn.rel_pos.relative_position_bias_table
    torch.testing.assert_close(found, table)
    assert not report.resized


@pytest.mark.parametrize(
    ('name', 'own'),
    [
        ('vit_relpos_small_patch16_rpn_224', {}),
        ('vit_base_patch16_rpn_224', dict(rel_pos_cfg=None, use_abs_pos_embed=True)),
    ],
)
@pytest.mark.parametrize('num_classes', [0, 10])
def test_norms_after_attention_raise_error(name, own, num_classes, tmp_path):
    model = timm.create_model(name, **TIMM, num_classes=num_classes, init_values=None)
    torch.save(model.state_dict(), tmp_path / 'rpn.pth')
    with pytest.raises(ValueError, match=r'norms after attention.*rpn'):
        load_vit(vit(**own), str(tmp_path / 'rpn.pth'))


def test_file_without_layer_scale_loads(tmp_path):
    torch.save(vit().state_dict(), tmp_path / 'own.pth')
    report = load_vit(vit(1), str(tmp_path / 'own.pth'))
    assert len(report.loaded) == report.total


OTHER_TOKENS = (
    {},
    dict(reg_tokens=4),
    dict(no_embed_class=True),
    dict(reg_tokens=2, no_embed_class=True),
)


@pytest.mark.parametrize('tokens', OTHER_TOKENS, ids=str)
@pytest.mark.parametrize('img_size', [40, 80])
def test_position_rows_of_prefix_tokens_are_dropped(tokens, img_size, timm_file):
    tokens = dict(tokens, class_token=True, global_pool='token')
    theirs, path = timm_file('plain', img_size=40, **tokens)
    model = ViTGAB(**dict(PLAIN, img_size=img_size, gab_cfg=None))
    load_vit(model, path)
    rows = theirs.pos_embed.detach()[:, -25:].unflatten(1, (5, 5)).permute(0, 3, 1, 2)
    side = img_size // 8
    expected = nn.functional.interpolate(rows, size=(side, side), mode='bicubic')
    found = model.pos_embed.detach().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected)


def test_table_of_transposed_window_is_resized(tmp_path):
    wide, high = (
        vit(i, img_size=size, rel_pos_cfg=dict(type='table'))
        for i, size in enumerate([(24, 40), (40, 24)])
    )
    torch.save(wide.state_dict(), tmp_path / 'wide.pth')
    report = load_vit(high, str(tmp_path / 'wide.pth'))
    assert len(report.resized) == 2
    tables = [m.blocks[0].attn.rel_pos.relative_position_bias_table for m in (wide, high)]
    torch.testing.assert_close(tables[1], resize_table(tables[0], (3, 5), (5, 3)))


def test_own_checkpoint_loads_with_any_prefix(tmp_path):
    model = stir(vit(gab_cfg={}, rel_pos_cfg=dict(type='table'), use_abs_pos_embed=True))
    for place in ('', 'backbone.'):
        tensors = {place + name: tensor for name, tensor in model.state_dict().items()}
        torch.save(dict(state_dict=tensors), tmp_path / 'own.pth')
        again = vit(1, gab_cfg={}, rel_pos_cfg=dict(type='table'), use_abs_pos_embed=True)
        report = load_vit(again, str(tmp_path / 'own.pth'))
        assert len(report.loaded) == report.total
        found = again.state_dict()
        assert all(torch.equal(found[n], tensor) for n, tensor in model.state_dict().items())


def test_missing_keys_keep_their_values_and_are_reported(timm_file):
    _, path = timm_file('MLP')
    model = vit(rel_pos_cfg=dict(type='mlp'), layer_scale=1e-6, final_norm=False, gab_cfg={})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = load_vit(model, path, leave_out=r'.*rel_pos\..*')
    after = model.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in after if '.rel_pos.' in n)
    assert not torch.equal(before['blocks.0.attn.qkv.weight'], after['blocks.0.attn.qkv.weight'])
    assert any('.rel_pos.' in name for name in report.unexpected)
    with pytest.raises(ValueError, match=r'leave_out.*matches no tensor'):
        load_vit(model, path, leave_out='rel_pos')


def test_baseline_checkpoint_initialises_gaussian_model():
    class Detector(nn.Module):
        def __init__(self, **arguments):
            super().__init__()
            self.backbone, self.head = vit(**arguments), nn.Linear(24, arguments.get('depth', 2))

    start, model = Detector(), Detector(gab_cfg={}, gpsa_cfg={}, cb_cfg=dict(type='CBG'))
    report = load_whole_model(model, start.state_dict(), 'file', strict=False)
    assert set(report.missing) == set(model.state_dict()) - set(start.state_dict())
    with pytest.raises(ValueError, match='gaussian'):
        load_whole_model(model, start.state_dict(), 'file', strict=True)
    with pytest.raises(ValueError, match='does not fit'):
        load_whole_model(model, Detector(depth=1, out_indices=(0,)).state_dict(), 'file', False)


@pytest.mark.parametrize('content', ['a Swin', 'another width', 'two of them'])
def test_mismatched_file_raises_error_and_loads_nothing(content, tmp_path, small_swin):
    reason = {
        'a Swin': "no plain ViT with timm's names",
        'another width': 'of another shape',
        'two of them': 'select one with prefix',
    }[content]
    tensors = {
        'a Swin': lambda: MODELS.build(dict(type='mmgab.SwinGAB', **small_swin)).state_dict(),
        'another width': lambda: vit(embed_dims=12).state_dict(),
        'two of them': lambda: {
            f'{place}.{n}': t for place in 'ab' for n, t in vit().state_dict().items()
        },
    }[content]()
    torch.save(tensors, tmp_path / 'file.pth')
    model = vit(2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=rf'file\.pth.*{reason}'):
        load_vit(model, str(tmp_path / 'file.pth'))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
