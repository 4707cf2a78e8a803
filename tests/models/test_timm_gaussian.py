"""The Gaussian in timm's networks, in both of timm's routes."""

import copy
import io
import pickle

import pytest
import timm
import torch
from timm.layers import set_fused_attn
from torch import nn

import mmgab
from mmgab.models import fold_gaussian_bias, remove_gaussian_bias

SMALL = dict(embed_dim=24, depth=2, num_heads=2, img_size=48, num_classes=0)
NETWORKS = {
    'vit, MLP': ('vit_relpos_small_patch16_224', SMALL),
    'vit, Swin-V2 MLP': ('vit_relpos_small_patch16_224', dict(SMALL, rel_pos_type='mlp_swin')),
    'vit, MLP, class token': (
        'vit_relpos_small_patch16_224', dict(SMALL, class_token=True, global_pool='token')
    ),
    'vit, shared MLP': ('vit_srelpos_small_patch16_224', dict(SMALL, rel_pos_dim=8)),
    'vit, table': ('vit_relpos_small_patch16_224', dict(SMALL, rel_pos_type='bias')),
    'vit, table, class token': (
        'vit_relpos_small_patch16_224',
        dict(SMALL, rel_pos_type='bias', class_token=True, global_pool='token'),
    ),
    'Swin': (
        'swin_tiny_patch4_window7_224',
        dict(embed_dim=8, depths=(2, 2), num_heads=(2, 2), img_size=64, window_size=4,
             num_classes=0),
    ),
}  # fmt: skip
TABLES = [name for name in NETWORKS if 'MLP' not in name]
every_network = pytest.mark.parametrize('name', NETWORKS)


@pytest.fixture(autouse=True)
def _as_it_was():
    yield
    set_fused_attn(True)


def build(name, fused=2):
    """A network of timm, and an image; 2 is the route that timm calls experimental."""
    set_fused_attn(bool(fused), experimental=fused == 2)
    torch.manual_seed(0)
    architecture, arguments = NETWORKS[name]
    model = timm.create_model(architecture, **arguments).eval()
    for module in model.modules():
        if isinstance(module, nn.Linear):  # as after training: attention is not uniform
            nn.init.normal_(module.weight, std=0.3)
        elif hasattr(module, 'gamma'):  # LayerScale, which starts at 1e-5
            nn.init.ones_(module.gamma)
    return model, torch.randn(2, 3, arguments['img_size'], arguments['img_size'])


def biases(model):
    """Every relative position of a network, ``(heads, N, N)``."""
    found = [m.get_bias()[0] for m in model.modules() if hasattr(m, 'get_bias')]
    return found + [m._get_rel_pos_bias()[0] for m in model.modules()
                    if hasattr(m, '_get_rel_pos_bias')]  # fmt: skip


def sliced_and_stacked(side, height, sigma):
    """The Gaussian of every pair, as the paper's code makes it: one large map, a slice a query."""
    steps = torch.arange(1.0 - side, side)
    large = height * torch.exp(-(steps[:, None] ** 2 + steps[None, :] ** 2) / (2 * sigma**2))
    rows = []
    for i in range(side):
        for j in range(side):
            part = large[side - 1 - i : 2 * side - 1 - i, side - 1 - j : 2 * side - 1 - j]
            rows.append(part.flatten())
    return torch.stack(rows)


@every_network
def test_added_bias_equals_paper_code(name):
    model, _ = build(name)
    before = [bias.clone() for bias in biases(model)]
    mmgab.add_gaussian_bias(model, amplitude=1.5, sigma=1.2)
    for plain, bias in zip(before, biases(model), strict=True):
        gained = bias - plain
        prefix = 'class token' in name
        side = round((gained.shape[-1] - prefix) ** 0.5)
        expected = sliced_and_stacked(side, 1.5**2, 1.2).expand_as(gained[:, prefix:, prefix:])
        torch.testing.assert_close(gained[:, prefix:, prefix:], expected, rtol=1e-4, atol=1e-5)
        if prefix:
            assert gained[:, 0].abs().max() == gained[:, :, 0].abs().max() == 0


@every_network
def test_fused_and_unfused_timm_paths_agree(name):
    outputs = []
    for fused in (0, 2):
        model, x = build(name, fused)
        plain = model.forward_features(x)
        mmgab.add_gaussian_bias(model, amplitude=2.0, sigma=1.0)
        outputs.append(model.forward_features(x))
        assert (outputs[-1] - plain).abs().max() > 1e-2
    torch.testing.assert_close(*outputs, rtol=1e-3, atol=1e-4)


@every_network
def test_gaussian_trains_and_is_removable(name):
    model, x = build(name)
    plain, names = model(x), list(model.state_dict())
    mmgab.add_gaussian_bias(model, per_head=True)
    own = {n: p for n, p in model.named_parameters() if '.gaussian.' in n}
    assert {n.rpartition('.')[2] for n in own} == {'amplitude', 'sigma'}
    (model(x) * torch.randn(())).square().sum().backward()
    # Of the last block only the class token is read, whose row has no Gaussian.
    unread = 'blocks.1.' if 'class token' in name else 'none'
    assert all(p.grad.abs().max() > 0 for n, p in own.items() if unread not in n)
    remove_gaussian_bias(model)
    assert list(model.state_dict()) == names
    assert torch.equal(model(x), plain)


@pytest.mark.parametrize('name', TABLES)
def test_folded_network_equals_timm(name):
    model, x = build(name)
    mmgab.add_gaussian_bias(model, amplitude=2.0, sigma=1.0)
    expected = model(x)
    tensors = fold_gaussian_bias(model).state_dict()
    fresh, _ = build(name)
    fresh.load_state_dict(tensors)
    torch.testing.assert_close(fresh(x), expected)


def test_unsupported_operations_raise_error():
    with pytest.raises(ValueError, match='ResNet has no relative-position bias'):
        mmgab.add_gaussian_bias(timm.create_model('resnet10t'))
    model, _ = build('vit, MLP')
    with pytest.raises(ValueError, match='has no Gaussians'):
        remove_gaussian_bias(model)
    mmgab.add_gaussian_bias(model)
    with pytest.raises(ValueError, match='has Gaussians already'):
        mmgab.add_gaussian_bias(model)
    with pytest.raises(ValueError, match='RelPosMlp, which has no table to fold'):
        fold_gaussian_bias(model)
    with pytest.raises(ValueError, match="gab_cfg has no key 'sigam'; did you mean 'sigma'"):
        mmgab.add_gaussian_bias(build('Swin')[0], sigam=1)


def pickled(model, x):
    return pickle.loads(pickle.dumps(model))


def saved(model, x):
    torch.save(model, file := io.BytesIO())
    file.seek(0)
    return torch.load(file, weights_only=False)


def scripted_and_saved(model, x):
    torch.jit.save(torch.jit.script(model), file := io.BytesIO())
    file.seek(0)
    return torch.jit.load(file)


FORMS = {
    'deepcopy': lambda model, x: copy.deepcopy(model),
    'pickle': pickled,
    'torch.save': saved,
    'fx': lambda model, x: torch.fx.symbolic_trace(model),
    'TorchScript': scripted_and_saved,
    'jit.trace': torch.jit.trace,
    'torch.export': lambda model, x: torch.export.export(model, (x,)).module(),
}


@pytest.mark.slow
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('name', ['vit, MLP', 'vit, table, class token', 'Swin'])
def test_copies_pickles_and_compiles_like_timm(name, form):
    model, x = build(name, fused=0)
    mmgab.add_gaussian_bias(model, amplitude=2.0, sigma=1.2)
    other = FORMS[form](model, x)
    torch.testing.assert_close(other(x), model(x), rtol=1e-4, atol=1e-5)
    names = [name for name, _ in other.named_parameters()]
    assert any('gaussian' in name for name in names), 'the Gaussian is a constant in it'
    other(x).square().sum().backward()
    gradients = {n: p.grad for n, p in other.named_parameters() if 'gaussian' in n}
    assert any(grad is not None and grad.abs().max() > 0 for grad in gradients.values())


@every_network
def test_set_input_size_keeps_a_trainable_gaussian(name):
    model, _ = build(name)
    folded, _ = build(name)
    side = NETWORKS[name][1]['img_size'] * 2
    x = torch.randn(1, 3, side, side)
    mmgab.add_gaussian_bias(model, amplitude=2.0, sigma=1.2)
    model.set_input_size(img_size=(side, side))
    if name in TABLES:
        folded.load_state_dict(fold_gaussian_bias(mmgab.add_gaussian_bias(
            build(name)[0], amplitude=2.0, sigma=1.2)).state_dict())  # fmt: skip
        folded.set_input_size(img_size=(side, side))
        torch.testing.assert_close(model(x), folded(x), rtol=1e-4, atol=1e-5)
    else:  # a network of coordinates has the Gaussian of its own size
        folded.set_input_size(img_size=(side, side))
        mmgab.add_gaussian_bias(folded, amplitude=2.0, sigma=1.2)
        torch.testing.assert_close(model(x), folded(x), rtol=1e-4, atol=1e-5)
    (model(x) * torch.randn(())).square().sum().backward()
    learned = [p.grad.abs().max() > 0 for n, p in model.named_parameters()
               if 'gaussian' in n and p.grad is not None]  # fmt: skip
    assert any(learned)
    if name in TABLES:
        assert all(p.requires_grad for n, p in model.named_parameters() if n.endswith('.original'))
    remove_gaussian_bias(model)(x)


def test_tensor_names_match_version_0_1_0():
    table, _ = build('Swin')
    names = set(mmgab.add_gaussian_bias(table).state_dict())
    position = 'layers.0.blocks.0.attn.parametrizations.relative_position_bias_table'
    assert {f'{position}.original', f'{position}.0.gaussian.amplitude'} <= names
    network, _ = build('vit, MLP')
    names = set(mmgab.add_gaussian_bias(network).state_dict())
    assert 'blocks.0.attn.rel_pos.bias_act.gaussian.sigma' in names


@pytest.mark.parametrize('dtype', [torch.half, torch.bfloat16, torch.double])
@every_network
def test_other_dtypes_are_close_to_float32(name, dtype):
    model, _ = build(name, fused=0)
    mmgab.add_gaussian_bias(model, amplitude=2.0, sigma=1.2)
    expected = biases(model)
    for bias, other in zip(expected, biases(model.to(dtype)), strict=True):
        assert other.dtype == dtype
        torch.testing.assert_close(other.float(), bias, rtol=0.05, atol=0.05)
