"""ViTGAB: any size, windows, the methods, frozen blocks, bad input."""

import pytest
import timm
import torch
from torch import nn

from mmgab.functional import gaussian_table, relative_offsets

from .small_vits import METHODS, stir, vit

every_method = pytest.mark.parametrize('name', METHODS)


def test_gaussian_equals_paper_code():
    """The paper's code crops a square map for each query. This grid is not square."""
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
    found = model.blocks[0].attn.position_bias((height, width))
    torch.testing.assert_close(found, torch.stack(crops, dim=1))


@pytest.mark.parametrize('size', [(56, 40), (9, 7), (61, 131)])
def test_feature_map_size_is_rounded_up(size):
    maps = vit(out_indices=(0, 1))(torch.randn(2, 3, *size))
    expected = (2, 24, -(-size[0] // 8), -(-size[1] // 8))
    assert [tuple(m.shape) for m in maps] == [expected] * 2


def test_attention_stays_inside_the_window():
    model = stir(vit(window_size=4, final_norm=False))
    x = torch.randn(1, 3, 64, 64)
    changed = x.clone()
    changed[..., :, 32:] = 0
    a, b = model(x)[0], model(changed)[0]
    torch.testing.assert_close(a[..., :4], b[..., :4])
    assert not torch.allclose(a[..., 4:], b[..., 4:])
    seeing = stir(vit(window_size=4, final_norm=False, global_blocks=(1,)))
    assert not torch.allclose(seeing(x)[0][..., :4], seeing(changed)[0][..., :4])


def test_grid_sized_window_equals_global_attention():
    whole, windows = (vit(window_size=w, rel_pos_cfg=dict(type='table')) for w in (None, (7, 5)))
    windows.load_state_dict(whole.state_dict())
    x = torch.randn(2, 3, 56, 40)
    torch.testing.assert_close(whole(x)[0], windows(x)[0])


@every_method
@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_are_nonzero_and_equal_with_checkpointing(name, with_cp):
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
def test_closed_gate_is_baseline_and_open_gate_is_positional(gate):
    plain = stir(vit())
    gated = vit(gpsa_cfg=dict(values='random')).eval()
    gated.load_state_dict(plain.state_dict(), strict=False)
    layers = [block.attn for block in gated.blocks]
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


def test_gate_initialisation_equals_timm_convit():
    """Compares position scores only, for a square number of heads."""
    convit = timm.create_model('convit_tiny', img_size=40, patch_size=8, embed_dim=8)
    theirs = convit.blocks[0].attn
    theirs(torch.randn(1, 25, 32))  # it makes its offsets when it first sees a grid
    theirs.local_init()
    scores = theirs.pos_proj(theirs.rel_indices).permute(0, 3, 1, 2).softmax(dim=-1)[0]
    ours = vit(embed_dims=32, num_heads=4, gpsa_cfg=dict(blocks=[0])).blocks[0].attn
    found, _ = ours.local_scores((5, 5), torch.device('cpu'))
    torch.testing.assert_close(found.softmax(dim=-1), scores)


def test_only_listed_blocks_have_gates():
    model = vit(depth=3, out_indices=(2,), gpsa_cfg=dict(blocks=range(2)))
    assert [b.attn.local is not None for b in model.blocks] == [True, True, False]


def test_features_are_independent_of_batch_padding():
    model = stir(vit(cb_cfg=dict(type='CB'), window_size=1))  # nothing but the mean crosses tokens
    x = torch.randn(1, 3, 32, 48)
    batch = torch.zeros(2, 3, 64, 48)
    batch[0, :, :32], batch[1] = x[0], torch.randn(3, 64, 48)
    alone = vit(cb_cfg=dict(type='CB'), window_size=1).eval()
    alone.load_state_dict(model.state_dict())
    beside = model(batch, image_shapes=[(32, 48), (64, 48)])[0]
    torch.testing.assert_close(beside[:1, :, :4], alone(x)[0], rtol=1e-4, atol=1e-5)


def test_frozen_blocks_require_no_grad_and_stay_in_eval_mode():
    model = vit(frozen_stages=1, drop_path_rate=0.5, use_abs_pos_embed=True).train()
    learning = {name.split('.')[0] + name.split('.')[1] for name, p in model.named_parameters()
                if p.requires_grad and name.startswith('blocks')}  # fmt: skip
    assert learning == {'blocks1'}
    assert not model.pos_embed.requires_grad
    assert not model.blocks[0].training
    assert model.blocks[1].training


BAD = {
    'num_heads': (dict(num_heads=5), ValueError, 'num_heads=5 does not divide embed_dims=24'),
    'depth': (dict(depth=0), ValueError, 'depth must be an int of at least 1'),
    'rel_pos': (dict(rel_pos_cfg=dict(type='cosine')), ValueError, "'table', 'mlp'"),
    'rel_pos key': (dict(rel_pos_cfg=dict(type='mlp', hiden=3)), ValueError, "mean 'hidden'"),
    'rel_pos type': (dict(rel_pos_cfg='mlp'), TypeError, 'rel_pos_cfg must be a dict or None'),
    'global': (dict(global_blocks=(0,)), ValueError, 'without a window_size'),
    'block': (dict(window_size=4, global_blocks=(2,)), ValueError, 'from 0 to 1'),
    'gates': (
        dict(gpsa_cfg=dict(blocks=(2,))),
        ValueError,
        'blocks must hold at least one index from 0 to 1',
    ),
    'stages': (dict(cb_cfg=dict(type='CB', stages=(0,))), ValueError, "no key 'stages'"),
    'fused gates': (dict(gpsa_cfg={}, attn_backend='sdpa'), ValueError, "use 'auto'"),
    'out': (dict(out_indices=(2,)), ValueError, 'from 0 to 1'),
    'blocks behind': (dict(out_indices=(0,)), ValueError, 'must contain the last block, 1'),
    'factors': (
        dict(layer_scale=0),
        ValueError,
        'layer_scale must be None or a finite number other than 0',
    ),
    'no factors': (dict(layer_scale=False), ValueError, 'layer_scale must be None or a finite'),
    'flag': (dict(qkv_bias='no'), ValueError, "qkv_bias must be one of .* got 'no'"),
    'width': (dict(mlp_ratio=float('inf')), ValueError, 'mlp_ratio must be a finite number'),
    'one global': (dict(window_size=4, global_blocks=0), TypeError, 'must be a sequence of ints'),
}


@pytest.mark.parametrize('case', BAD)
def test_invalid_arguments_raise_error(case):
    arguments, error, message = BAD[case]
    with pytest.raises(error, match=message):
        vit(**arguments)
