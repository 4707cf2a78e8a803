import pytest
import torch
from mmengine.registry import MODELS

from mmgab.analysis.cost import saved_bytes
from mmgab.models import SwinGAB


def images(height=61, width=90, batch=2):
    return torch.randn(batch, 3, height, width)


def test_every_parameter_has_a_gradient(small_swin):
    model = SwinGAB(**small_swin, use_abs_pos_embed=True, gab_cfg=dict(per_head=True))
    sum(out.square().mean() for out in model(images())).backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


@pytest.mark.parametrize(
    'size', [(1, 1), (1, 200), (3, 5), (29, 4), (64, 64), (33, 97), (225, 223)]
)
def test_feature_map_sizes_for_any_image_size(small_swin, size):
    outs = SwinGAB(**small_swin).eval()(images(*size))
    side = [-(-size[0] // 4), -(-size[1] // 4)]
    for stage, out in enumerate(outs):
        assert out.shape == (2, 16 * 2**stage, *side)
        assert out.isfinite().all()
        side = [-(-side[0] // 2), -(-side[1] // 2)]


def test_bfloat16_weights_give_finite_outputs(small_swin):
    outs = SwinGAB(**small_swin).bfloat16().eval()(images().bfloat16())
    assert all(out.dtype == torch.bfloat16 and out.isfinite().all() for out in outs)


@pytest.mark.parametrize('window', [4, (4, 6), (1, 7)])
def test_any_window_shape_gives_finite_outputs(small_swin, window):
    outs = SwinGAB(**{**small_swin, 'window_size': window}).eval()(images())
    assert all(out.isfinite().all() for out in outs)


def test_batch_outputs_equal_single_image_outputs(small_swin):
    model, x = SwinGAB(**small_swin).eval(), images()
    for both, first, second in zip(model(x), model(x[:1]), model(x[1:]), strict=True):
        torch.testing.assert_close(both, torch.cat((first, second)), atol=1e-5, rtol=1e-5)


def training_step(model, x):
    """Outputs and gradients, by name; the same paths are dropped every time."""
    model.zero_grad()
    torch.manual_seed(1)
    outs = model(x)
    sum(out.square().mean() for out in outs).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {**{f'output {i}': out for i, out in enumerate(outs)}, **gradients}


def same_network(model, **arguments):
    other = SwinGAB(**arguments)
    other.load_state_dict(model.state_dict(), strict=True)
    return other


@pytest.mark.parametrize(
    'change',
    [
        *(dict(with_cp=True), dict(with_cp='selective')),
        *(dict(attn_backend='explicit'), dict(attn_backend='sdpa')),
        *(dict(act_cfg=dict(type='ReLU')), dict(frozen_stages=2)),
    ],
    ids=str,
)
def test_recomputation_keeps_outputs_and_gradients(small_swin, change):
    """The baseline is unfused and saves for backward as PyTorch does."""
    arguments = dict(small_swin, drop_path_rate=0.2, **change)
    model = SwinGAB(**arguments)
    plain = same_network(model, **{**arguments, 'attn_backend': 'explicit', 'with_cp': False})
    for module in plain.modules():  # a hook, so that no layer is run in its lean form
        module.register_forward_hook(lambda *_: None)
    x = images(97, 131)
    ours, theirs = training_step(model, x), training_step(plain, x)
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name], expected, atol=1e-5, rtol=1e-4, msg=name)


def test_checkpointing_reduces_saved_memory(small_swin):
    kept = {}
    for with_cp in (True, 'selective', False):
        model = SwinGAB(**small_swin, with_cp=with_cp)
        kept[with_cp] = saved_bytes(lambda model=model: model(images()), model)
    assert kept[True] < 0.5 * kept['selective']
    assert kept['selective'] < 0.8 * kept[False]


@pytest.mark.parametrize('backend', ['sdpa', 'explicit'])
def test_same_seed_is_bit_identical(small_swin, backend):
    model = SwinGAB(**small_swin, drop_path_rate=0.2, attn_backend=backend)
    x = images(97, 131)
    first = {name: tensor.clone() for name, tensor in training_step(model, x).items()}
    for name, tensor in training_step(model, x).items():
        assert torch.equal(tensor, first[name]), name


def test_dropout_is_active_only_in_training(small_swin):
    arguments = dict(small_swin, drop_path_rate=0.0)
    dropping = SwinGAB(**arguments, drop_rate=0.1, attn_drop_rate=0.1)
    model, x = same_network(dropping, **arguments), images()
    for a, b, c in zip(dropping(x), dropping(x), model(x), strict=True):
        assert not torch.equal(a, b)
        assert not torch.equal(a, c)
    for a, b in zip(dropping.eval()(x), model.eval()(x), strict=True):
        assert torch.equal(a, b)


def test_bfloat16_autocast_is_close_to_float32(small_swin):
    model, x = SwinGAB(**small_swin).eval(), images()
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        half = model(x)
    for a, b in zip(half, model(x), strict=True):
        # Outputs are normalised: one unit is one standard deviation.
        assert (a.float() - b).abs().mean() < 0.02


def test_baseline_has_stock_swin_tensors(small_swin):
    plain = SwinGAB(**small_swin, gab_cfg=None).state_dict()
    shared = SwinGAB(**small_swin).state_dict()
    added = [name for name in shared if name not in plain]
    assert len(added) == 2 * sum(small_swin['depths'])
    assert all('.attn.w_msa.gaussian.' in name for name in added)
    assert not [name for name in plain if name not in shared]


def test_default_gaussian_equals_paper():
    attention = SwinGAB().stages[2].blocks[5].attn.w_msa
    assert attention.gaussian.amplitude.tolist() == [1.0]
    assert attention.gaussian.sigma.tolist() == [5.0]
    assert attention.gaussian.sigma.requires_grad


def test_parameters_are_initialised_without_init_weights(small_swin):
    model = SwinGAB(**small_swin, use_abs_pos_embed=True)
    for name, parameter in model.named_parameters():
        if name.endswith(('relative_position_bias_table', 'absolute_pos_embed')):
            assert 0.01 < parameter.std() < 0.03, name
        elif name.endswith(('qkv.weight', 'proj.weight', 'layers.1.weight', 'reduction.weight')):
            assert 0.015 < parameter.std() < 0.025, name
        elif 'norm' in name and name.endswith('weight'):
            assert (parameter == 1).all(), name
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.init_weights()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_train_and_eval_return_the_module(small_swin):
    model = SwinGAB(**small_swin)
    assert model.eval() is model
    assert model.train() is model


@pytest.mark.parametrize('frozen', [-1, 0, 1, 3, 4])
def test_freezing_takes_effect_in_the_constructor(small_swin, frozen):
    model = SwinGAB(**small_swin, use_abs_pos_embed=True, frozen_stages=frozen)
    prefixes = [f'stages.{i}.' for i in range(frozen)] + [f'norm{i}.' for i in range(frozen)]
    if frozen >= 0:
        prefixes += ['patch_embed.', 'absolute_pos_embed']
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad != name.startswith(tuple(prefixes)), name


def test_frozen_stages_stay_in_eval_mode(small_swin):
    model = SwinGAB(**small_swin, frozen_stages=2).eval().train()
    assert not any(m.training for stage in model.stages[:2] for m in stage.modules())
    assert not model.patch_embed.training
    assert not model.norm1.training
    assert model.stages[2].training
    assert not any(p.requires_grad for p in model.stages[:2].parameters())


def test_only_unfrozen_parameters_get_gradients(small_swin):
    model = SwinGAB(**small_swin, frozen_stages=2, with_cp=True)
    sum(out.square().mean() for out in model(images())).backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_unselected_stages_have_no_output_norm(small_swin):
    model = SwinGAB(**small_swin, out_indices=(1, 3))
    assert [out.shape[1] for out in model(images())] == [32, 128]
    assert not hasattr(model, 'norm0')
    sum(out.square().mean() for out in model(images())).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_position_embedding_supports_any_image_size(small_swin):
    model = SwinGAB(**small_swin, use_abs_pos_embed=True, pretrain_img_size=(64, 96)).eval()
    assert model.absolute_pos_embed.shape == (1, 16 * 24, 16)
    with torch.no_grad():
        model.absolute_pos_embed.fill_(0.5)
    shifted = model(images())
    assert all(out.isfinite().all() for out in shifted)
    # A constant embedding stays constant at every size.
    found = model._add_position(torch.zeros(1, 35, 16), (5, 7))
    torch.testing.assert_close(found, torch.full((1, 35, 16), 0.5))


def test_position_embedding_map_keeps_its_aspect_ratio(small_swin):
    """A 4 x 16 map must not be read as 8 x 8."""
    target = SwinGAB(**small_swin, use_abs_pos_embed=True, pretrain_img_size=(16, 32))
    rows = torch.arange(4.0).view(1, 1, 4, 1).expand(1, 16, 4, 16)
    target.load_state_dict({**target.state_dict(), 'absolute_pos_embed': rows})
    grid = target.absolute_pos_embed.detach().view(4, 8, 16)
    torch.testing.assert_close(grid, torch.arange(4.0).view(4, 1, 1).expand(4, 8, 16))


@pytest.mark.parametrize('shape', ['tokens', 'map'])
def test_position_embedding_is_resized_on_load(small_swin, shape):
    source = SwinGAB(**small_swin, use_abs_pos_embed=True, pretrain_img_size=64)
    target = SwinGAB(**small_swin, use_abs_pos_embed=True, pretrain_img_size=96)
    tensors = source.state_dict()
    tensors['absolute_pos_embed'] = torch.full((1, 256, 16), 0.25)
    if shape == 'map':  # as in Microsoft's detection code
        tensors['absolute_pos_embed'] = torch.full((1, 16, 16, 16), 0.25)
    target.load_state_dict(tensors, strict=True)
    expected = torch.full((1, 24 * 24, 16), 0.25)
    torch.testing.assert_close(target.absolute_pos_embed, torch.nn.Parameter(expected))


def test_drop_path_rate_grows_linearly_with_depth(small_swin):
    model = SwinGAB(**small_swin, drop_path_rate=0.7)
    rates = [block.drop_path.drop_prob for stage in model.stages for block in stage.blocks]
    assert rates == pytest.approx([0.1 * i for i in range(8)])


def test_toolbox_registries_build_swingab():
    import mmdet.registry
    import mmseg.registry

    for registry in (MODELS, mmdet.registry.MODELS, mmseg.registry.MODELS):
        assert type(registry.build(dict(type='mmgab.SwinGAB', depths=(1, 1, 1, 1)))) is SwinGAB


@pytest.mark.parametrize(
    ('change', 'error', 'words'),
    [
        (dict(embed_dims=20, num_heads=(3, 6, 12, 24)), ValueError, ['num_heads[0]=3', '20']),
        (dict(num_heads=(2, 4, 8)), ValueError, ['num_heads', '4 stages', '(2, 4, 8)']),
        (dict(strides=(4, 2)), ValueError, ['strides', '(4, 2)']),
        (dict(depths=()), ValueError, ['depths']),
        (dict(depths=(2, 0, 2, 2)), ValueError, ['depths', '(2, 0, 2, 2)']),
        (dict(depths=6), TypeError, ['depths', '6']),
        (dict(window_size=0), ValueError, ['window_size', '0']),
        (dict(window_size=(7, 7, 7)), ValueError, ['window_size', '(7, 7, 7)']),
        (dict(window_size='7'), TypeError, ['window_size', "'7'"]),
        (dict(window_size=7.0), TypeError, ['window_size', '7.0']),
        (dict(patch_size=8), ValueError, ['strides[0]=4', 'patch_size=(8, 8)']),
        (dict(embed_dims=0), ValueError, ['embed_dims', '0']),
        (dict(out_indices=(0, 4)), ValueError, ['out_indices', '0 to 3', '(0, 4)']),
        (dict(out_indices=(-1,)), ValueError, ['out_indices', '(-1,)']),
        (dict(out_indices=()), ValueError, ['out_indices']),
        (dict(out_indices=(1, 1)), ValueError, ['out_indices', 'repeat']),
        (dict(out_indices=3), TypeError, ['out_indices', '3']),
        (dict(frozen_stages=5), ValueError, ['frozen_stages', '-1', '4', '5']),
        (dict(frozen_stages='1'), TypeError, ['frozen_stages', "'1'"]),
        (dict(drop_path_rate=1.5), ValueError, ['drop_path_rate', '1.5']),
        (dict(attn_drop_rate=-0.1), ValueError, ['attn_drop_rate', '-0.1']),
        (dict(attn_backend='flash'), ValueError, ['attn_backend', "'sdpa'", "'flash'"]),
        (dict(attn_backend='sdpa', attn_drop_rate=0.1), ValueError, ['attn_drop_rate', '0.1']),
        (dict(with_cp='all'), ValueError, ['with_cp', "'selective'", "'all'"]),
        (dict(mlp_ratio=0), ValueError, ['mlp_ratio', '0']),
        (dict(mlp_ratio=0.001), ValueError, ['mlp_ratio', '0.001']),
        (dict(in_channels=0), ValueError, ['in_channels', '0']),
        (dict(in_channels='3'), ValueError, ['in_channels', "'3'"]),
        (dict(qk_scale='a'), TypeError, ['qk_scale', "'a'"]),
        (dict(pretrain_img_size=2), ValueError, ['pretrain_img_size', '(0, 0)']),
        (dict(strides=(4, 2, 0, 2)), ValueError, ['strides', '0']),
        (dict(num_heads=(2, 4, 8, 16, 32)), ValueError, ['num_heads', '5']),
        (dict(init_cfg=dict(type='Kaiming')), ValueError, ['init_cfg', 'Pretrained', 'Kaiming']),
        (dict(init_cfg=dict(type='Pretrained')), ValueError, ['init_cfg', 'checkpoint']),
        (dict(pretrained=3), TypeError, ['pretrained', '3']),
        (
            dict(pretrained='a', init_cfg=dict(type='Pretrained', checkpoint='b')),
            ValueError,
            ['both'],
        ),
        (dict(gab_cfg=dict(amplitud=1)), ValueError, ['amplitud', "'amplitude'"]),
    ],
)
def test_invalid_argument_raises_error_with_value(small_swin, change, error, words):
    with pytest.raises(error) as caught:
        SwinGAB(**{**small_swin, **change})
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize('change', [dict(strides=(2, 2, 2, 2)), dict(pretrain_img_size=(9, 9, 9))])
def test_stock_assertions_raise_both_error_types(small_swin, change):
    for error in (ValueError, AssertionError):
        with pytest.raises(error):
            SwinGAB(**small_swin, **change)


def test_pretrained_is_deprecated_and_still_works(small_swin):
    with pytest.warns(DeprecationWarning, match='init_cfg'):
        model = SwinGAB(**small_swin, pretrained='swin.pth')
    assert model.init_cfg == dict(type='Pretrained', checkpoint='swin.pth')


def test_config_lists_and_float_ratios_are_accepted():
    model = SwinGAB(
        embed_dims=16,
        depths=[1, 1],
        num_heads=[2, 4],
        strides=[4, 2],
        out_indices=[0, 1],
        mlp_ratio=2.5,
    )
    assert model.stages[0].blocks[0].ffn.feedforward_channels == 40
