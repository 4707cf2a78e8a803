"""ViTGAB: timm's networks reproduced and loaded, any size, windows, the methods, bad input."""

import pytest
import timm
import torch
from mmengine.registry import MODELS
from torch import nn

from mmgab.checkpoints import load_vit, load_whole_model
from mmgab.deployment import OpenSizes, export_onnx, export_program, verify
from mmgab.functional import gaussian_table, relative_offsets, resize_table
from mmgab.layers.gated_attention import GatedGridMSA
from mmgab.models import ViTGAB

SMALL = dict(embed_dims=24, depth=2, num_heads=3, out_indices=(1,), patch_size=8, img_size=(56, 40))
PLAIN = dict(SMALL, rel_pos_cfg=None, use_abs_pos_embed=True, layer_scale=None, qkv_bias=True)
TIMM = dict(embed_dim=24, depth=2, num_heads=3, patch_size=8, img_size=(56, 40))
# Of timm's network, and of ours.
NETWORKS = {
    'MLP': ('vit_relpos_small_patch16_224', {}, dict(SMALL, final_norm=False)),
    'table': (
        'vit_relpos_small_patch16_224',
        dict(rel_pos_type='bias'),
        dict(SMALL, rel_pos_cfg=dict(type='table'), final_norm=False),
    ),
    'shared MLP': (
        'vit_srelpos_small_patch16_224',
        dict(rel_pos_dim=9),
        dict(SMALL, rel_pos_cfg=dict(type='mlp', hidden=9)),
    ),
    'plain': (
        'vit_small_patch16_224', dict(class_token=False, global_pool='avg', fc_norm=False), PLAIN,
    ),
}  # fmt: skip
METHODS = {
    'gaussian': dict(gab_cfg={}),
    'gaussian of heads': dict(gab_cfg=dict(per_head=True)),
    'CB': dict(cb_cfg=dict(type='CB')),
    'CBS': dict(cb_cfg=dict(type='CBS')),
    'CBG': dict(cb_cfg=dict(type='CBG')),
    'gates': dict(gpsa_cfg={}),
    'all of them': dict(gab_cfg={}, cb_cfg=dict(type='CB'), gpsa_cfg=dict(blocks=[0])),
}
every_network = pytest.mark.parametrize('name', NETWORKS)
every_method = pytest.mark.parametrize('name', METHODS)


def vit(seed=0, **arguments):
    torch.manual_seed(seed)
    return ViTGAB(**{**SMALL, 'gab_cfg': None, 'layer_scale': None, **arguments})


def stir(model):
    """Values as after training: scales and tables that do something."""
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval()


@pytest.fixture
def timm_file(tmp_path):
    def save(name, **more):
        architecture, arguments, _ = NETWORKS[name]
        model = timm.create_model(architecture, **{**TIMM, **arguments, **more})
        path = tmp_path / f'{name}.pth'
        torch.save(stir(model).state_dict(), path)
        return model, str(path)

    return save


@every_network
def test_it_is_timms_network_with_timms_weights(name, timm_file):
    theirs, path = timm_file(name)
    ours = ViTGAB(gab_cfg=None, **NETWORKS[name][2]).eval()
    report = load_vit(ours, path)
    assert not report.missing
    x = torch.randn(2, 3, 56, 40)
    found = ours(x)[0].flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, theirs.forward_features(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['MLP', 'table', 'plain'])
def test_at_another_size_it_is_timms_network_set_to_that_size(name, timm_file):
    """A network of positions knows every size; tables and embeddings are resized: both, alike."""
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


def test_the_gaussian_is_what_the_papers_code_slices_and_stacks():
    """Crops of one wide map, for each query its own, stacked: square in the code, and not here."""
    model = stir(vit(gab_cfg=dict(per_head=True), rel_pos_cfg=None))
    gaussian, height, width = model.blocks[0].attn.gaussian, 4, 6
    offsets = relative_offsets((height, width))
    wide = gaussian_table(offsets, gaussian.amplitude, gaussian.sigma)
    wide = wide.t().view(3, 2 * height - 1, 2 * width - 1)
    crops = [
        wide[:, height - 1 - y : 2 * height - 1 - y, width - 1 - x : 2 * width - 1 - x].flatten(1)
        for y in range(height)
        for x in range(width)
    ]
    found = model.blocks[0].attn.pair_bias((height, width), like=torch.zeros(1))
    torch.testing.assert_close(found, torch.stack(crops, dim=1))


@pytest.mark.parametrize('size', [(56, 40), (9, 7), (61, 131)])
def test_maps_have_as_many_cells_as_patches_begin(size):
    maps = vit(out_indices=(0, 1))(torch.randn(2, 3, *size))
    expected = (2, 24, -(-size[0] // 8), -(-size[1] // 8))
    assert [tuple(m.shape) for m in maps] == [expected] * 2


def test_a_block_with_windows_does_not_see_the_next_window():
    model = stir(vit(window_size=4, final_norm=False))
    x = torch.randn(1, 3, 64, 64)
    changed = x.clone()
    changed[..., :, 32:] = 0
    a, b = model(x)[0], model(changed)[0]
    torch.testing.assert_close(a[..., :4], b[..., :4])
    assert not torch.allclose(a[..., 4:], b[..., 4:])
    seeing = stir(vit(window_size=4, final_norm=False, global_blocks=(1,)))
    assert not torch.allclose(seeing(x)[0][..., :4], seeing(changed)[0][..., :4])


def test_one_window_of_the_whole_grid_is_global_attention():
    whole, windows = (vit(window_size=w, rel_pos_cfg=dict(type='table')) for w in (None, (7, 5)))
    windows.load_state_dict(whole.state_dict())
    x = torch.randn(2, 3, 56, 40)
    torch.testing.assert_close(whole(x)[0], windows(x)[0])


@every_method
@pytest.mark.parametrize('with_cp', [False, True])
def test_every_parameter_learns_and_checkpointing_changes_nothing(name, with_cp):
    x = torch.randn(2, 3, 61, 75)
    gradients = []
    for cp in (False, with_cp):
        model = vit(with_cp=cp, rel_pos_cfg=dict(type='table'), **METHODS[name]).train()
        (model(x)[0] * torch.linspace(-1, 1, 24)[:, None, None]).square().mean().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters()})
    for parameter, gradient in gradients[0].items():
        assert gradient is not None, parameter
        assert gradient.abs().sum() > 0 or 'qkv.bias' in parameter, parameter
        torch.testing.assert_close(gradient, gradients[1][parameter])


@pytest.mark.parametrize('gate', [-100.0, 100.0])
def test_a_closed_gate_is_the_plain_network_and_an_open_one_sees_position_alone(gate):
    plain = stir(vit())
    gated = vit(gpsa_cfg=dict(values='random')).eval()
    gated.load_state_dict(plain.state_dict(), strict=False)
    layers = [module for module in gated.modules() if isinstance(module, GatedGridMSA)]
    for layer in layers:
        nn.init.constant_(layer.local.gate, gate)
    x = torch.randn(1, 3, 61, 75)
    if gate < 0:
        torch.testing.assert_close(gated(x)[0], plain(x)[0], rtol=1e-4, atol=1e-5)
    else:
        before = gated(x)[0]
        for layer in layers:  # queries and keys do not matter
            nn.init.normal_(layer.qkv.weight.detach()[:48])
        torch.testing.assert_close(gated(x)[0], before)


def test_gates_start_where_timms_convit_starts():
    """Position scores of a square head count, by their output alone."""
    convit = timm.create_model('convit_tiny', img_size=40, patch_size=8, embed_dim=8)
    theirs = convit.blocks[0].attn
    theirs(torch.randn(1, 25, 32))  # it makes its offsets when it first sees a grid
    theirs.local_init()
    scores = theirs.pos_proj(theirs.rel_indices).permute(0, 3, 1, 2).softmax(dim=-1)[0]
    ours = vit(embed_dims=32, num_heads=4, gpsa_cfg=dict(blocks=[0])).blocks[0].attn
    position = torch.zeros(4, 25, 25)

    def keep(content, found, share, mask):
        position.copy_(found.softmax(dim=-1))
        return content

    ours.mix = keep
    ours(torch.randn(1, 25, 32), (5, 5))
    torch.testing.assert_close(position, scores)


def test_convits_form_has_gates_in_the_first_blocks_alone():
    model = vit(depth=3, out_indices=(2,), gpsa_cfg=dict(blocks=range(2)))
    assert [isinstance(b.attn, GatedGridMSA) for b in model.blocks] == [True, True, False]


def test_an_image_does_not_depend_on_the_padding_beside_it():
    model = stir(vit(cb_cfg=dict(type='CB'), window_size=1))  # nothing but the mean crosses tokens
    x = torch.randn(1, 3, 32, 48)
    batch = torch.zeros(2, 3, 64, 48)
    batch[0, :, :32], batch[1] = x[0], torch.randn(3, 64, 48)
    alone = vit(cb_cfg=dict(type='CB'), window_size=1).eval()
    alone.load_state_dict(model.state_dict())
    beside = model(batch, image_shapes=[(32, 48), (64, 48)])[0]
    torch.testing.assert_close(beside[:1, :, :4], alone(x)[0], rtol=1e-4, atol=1e-5)


def test_a_class_token_is_left_out_and_named(timm_file):
    _, path = timm_file('plain', class_token=True, global_pool='token')
    model = ViTGAB(**dict(PLAIN, gab_cfg={}))
    report = load_vit(model, path)
    assert 'cls_token' in report.unexpected
    assert all('gaussian' in name for name in report.missing)
    saved = torch.load(path)['pos_embed'][:, 1:]
    torch.testing.assert_close(model.pos_embed.detach(), saved)


def test_a_table_with_rows_of_a_class_token_is_read(timm_file):
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
def test_norms_behind_attention_are_refused(name, own, num_classes, tmp_path):
    model = timm.create_model(name, **TIMM, num_classes=num_classes, init_values=None)
    torch.save(model.state_dict(), tmp_path / 'rpn.pth')
    with pytest.raises(ValueError, match=r'norms behind attention.*rpn'):
        load_vit(vit(**own), str(tmp_path / 'rpn.pth'))


def test_its_own_file_without_factors_is_not_taken_for_one_of_those(tmp_path):
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
def test_rows_of_other_tokens_are_told_from_those_of_patches(tokens, img_size, timm_file):
    tokens = dict(tokens, class_token=True, global_pool='token')
    theirs, path = timm_file('plain', img_size=40, **tokens)
    model = ViTGAB(**dict(PLAIN, img_size=img_size, gab_cfg=None))
    load_vit(model, path)
    rows = theirs.pos_embed.detach()[:, -25:].unflatten(1, (5, 5)).permute(0, 3, 1, 2)
    side = img_size // 8
    expected = nn.functional.interpolate(rows, size=(side, side), mode='bicubic')
    found = model.pos_embed.detach().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected)


def test_a_table_of_a_turned_window_is_resized_and_not_copied(tmp_path):
    wide, high = (
        vit(i, img_size=size, rel_pos_cfg=dict(type='table'))
        for i, size in enumerate([(24, 40), (40, 24)])
    )
    torch.save(wide.state_dict(), tmp_path / 'wide.pth')
    report = load_vit(high, str(tmp_path / 'wide.pth'))
    assert len(report.resized) == 2
    tables = [m.blocks[0].attn.rel_pos.relative_position_bias_table for m in (wide, high)]
    torch.testing.assert_close(tables[1], resize_table(tables[0], (3, 5), (5, 3)))


def test_its_own_file_comes_back_at_any_place(tmp_path):
    model = stir(vit(gab_cfg={}, rel_pos_cfg=dict(type='table'), use_abs_pos_embed=True))
    for place in ('', 'backbone.'):
        tensors = {place + name: tensor for name, tensor in model.state_dict().items()}
        torch.save(dict(state_dict=tensors), tmp_path / 'own.pth')
        again = vit(1, gab_cfg={}, rel_pos_cfg=dict(type='table'), use_abs_pos_embed=True)
        report = load_vit(again, str(tmp_path / 'own.pth'))
        assert len(report.loaded) == report.total
        found = again.state_dict()
        assert all(torch.equal(found[n], tensor) for n, tensor in model.state_dict().items())


def test_what_is_left_out_keeps_its_values_and_is_named(timm_file):
    _, path = timm_file('MLP')
    model = vit(rel_pos_cfg=dict(type='mlp'), layer_scale=1e-6, final_norm=False, gab_cfg={})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = load_vit(model, path, leave_out=r'.*rel_pos\..*')
    after = model.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in after if '.rel_pos.' in n)
    assert not torch.equal(before['blocks.0.attn.qkv.weight'], after['blocks.0.attn.qkv.weight'])
    assert any('.rel_pos.' in name for name in report.unexpected)
    with pytest.raises(ValueError, match=r'leave_out.*fits the name of no tensor'):
        load_vit(model, path, leave_out='rel_pos')


def test_a_whole_models_file_without_gaussians_is_a_start_for_one_with_them():
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
def test_what_is_no_vit_of_this_size_is_refused_and_nothing_is_loaded(
    content, tmp_path, small_swin
):
    reason = {
        'a Swin': "no plain ViT with timm's names",
        'another width': 'of another shape',
        'two of them': 'which one: give prefix',
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


def test_frozen_blocks_do_not_learn_and_stay_in_evaluation_mode():
    model = vit(frozen_stages=1, drop_path_rate=0.5, use_abs_pos_embed=True).train()
    learning = {name.split('.')[0] + name.split('.')[1] for name, p in model.named_parameters()
                if p.requires_grad and name.startswith('blocks')}  # fmt: skip
    assert learning == {'blocks1'}
    assert not model.pos_embed.requires_grad
    assert not model.blocks[0].training
    assert model.blocks[1].training


EXPORTED = dict(
    METHODS['all of them'], rel_pos_cfg=dict(type='table'), window_size=4, global_blocks=(1,),
    use_abs_pos_embed=True, img_size=(64, 80),
)  # fmt: skip


@pytest.mark.parametrize('suffix', ['.pt2', '.onnx'])
def test_exported_it_is_the_same_function_for_any_batch(suffix, tmp_path):
    model = stir(vit(**EXPORTED))
    export = dict(zip(('.pt2', '.onnx'), (export_program, export_onnx), strict=True))[suffix]
    run = export(model, torch.randn(2, 3, 61, 75), OpenSizes(False), tmp_path / f'vit{suffix}')
    verify(model, run, [(1, 3, 61, 75), (3, 3, 61, 75)], print)


def test_a_table_of_another_size_is_not_resized_in_a_graph(tmp_path):
    model = vit(rel_pos_cfg=dict(type='table'))
    with pytest.raises(ValueError, match=r'table for \(7, 5\) tokens.*gives \(8, 9\)'):
        export_program(model, torch.randn(2, 3, 64, 72), OpenSizes(False), tmp_path / 'vit.pt2')


def test_open_sizes_of_an_exported_network_are_refused(tmp_path):
    with pytest.raises(ValueError, match='exported for images of one size'):
        export_program(vit(), torch.randn(2, 3, 64, 72), OpenSizes(True, 57), tmp_path / 'vit.pt2')


BAD = {
    'num_heads': (dict(num_heads=5), ValueError, 'num_heads=5 does not divide embed_dims=24'),
    'depth': (dict(depth=0), ValueError, 'depth must be an int of at least 1'),
    'rel_pos': (dict(rel_pos_cfg=dict(type='cosine')), ValueError, "'table', 'mlp'"),
    'rel_pos key': (dict(rel_pos_cfg=dict(type='mlp', hiden=3)), ValueError, "mean 'hidden'"),
    'rel_pos type': (dict(rel_pos_cfg='mlp'), TypeError, 'rel_pos_cfg must be a dict or None'),
    'global': (dict(global_blocks=(0,)), ValueError, 'without a window_size'),
    'block': (dict(window_size=4, global_blocks=(2,)), ValueError, 'from 0 to 1'),
    'gates': (dict(gpsa_cfg=dict(blocks=(2,))), ValueError, 'blocks must be from 0 to 1'),
    'stages': (dict(cb_cfg=dict(type='CB', stages=(0,))), ValueError, "no key 'stages'"),
    'fused gates': (dict(gpsa_cfg={}, attn_backend='sdpa'), ValueError, "use 'auto'"),
    'out': (dict(out_indices=(2,)), ValueError, 'from 0 to 1'),
    'blocks behind': (dict(out_indices=(0,)), ValueError, 'must have the last block, 1'),
    'factors': (dict(layer_scale=0), ValueError, 'layer_scale must be a finite number, not 0'),
    'no factors': (dict(layer_scale=False), ValueError, 'layer_scale must be a finite number'),
    'flag': (dict(qkv_bias='no'), ValueError, "qkv_bias must be one of .* got 'no'"),
    'width': (dict(mlp_ratio=float('inf')), ValueError, 'mlp_ratio must be a number'),
    'one global': (dict(window_size=4, global_blocks=0), TypeError, 'must be a sequence of ints'),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_arguments_are_named_with_their_value_and_what_would_be_right(case):
    arguments, error, message = BAD[case]
    with pytest.raises(error, match=message):
        vit(**arguments)
