"""Context Broadcasting: the formulas, the network with it, batches of padded images, bad input."""

import pytest
import torch
from torch import nn

from mmgab.checkpoints import Contents, export, load
from mmgab.deployment import OpenSizes, export_program, verify
from mmgab.layers.context_broadcast import build_broadcasts, mean_token
from mmgab.models import SwinGAB

TYPES = ('CB', 'CBS', 'CBG')
# One block a stage, so that no window is shifted: windows of a padded image are those of the image.
ONE = dict(embed_dims=8, depths=(1, 1), num_heads=(2, 2), window_size=4, out_indices=(0, 1))


def layer(kind, channels=6):
    (one,) = build_broadcasts(dict(type=kind), 1)
    return one(channels)


def swin(seed=0, **arguments):
    torch.manual_seed(seed)
    return SwinGAB(**{**ONE, 'drop_path_rate': 0.0, **arguments})


@pytest.mark.parametrize('kind', ['CB', 'CBS'])
def test_equal_tokens_are_unchanged(kind):
    x = torch.randn(2, 1, 6).expand(2, 35, 6)
    torch.testing.assert_close(layer(kind)(x), x)


def test_cb_averages_each_token_with_the_mean():
    x = torch.randn(2, 35, 6)
    expected = torch.stack([(image + image.sum(dim=0) / 35) / 2 for image in x])
    torch.testing.assert_close(layer('CB')(x), expected)


def test_scales_and_gates_are_per_channel():
    x, factors = torch.randn(2, 35, 6), torch.randn(6)
    scaled, gated = layer('CBS'), layer('CBG')
    nn.init.zeros_(scaled.scale)
    torch.testing.assert_close(scaled(x), x / 2)
    scaled.scale.data.copy_(factors)
    gated.gate.data.copy_(factors)
    share = factors * x.mean(dim=1, keepdim=True)
    torch.testing.assert_close(scaled(x), (x + share) / 2)
    torch.testing.assert_close(gated(x), x + share)


def test_padding_is_excluded_from_the_mean():
    x = torch.randn(2, 35, 6)
    is_valid = torch.ones(2, 35, dtype=torch.bool)
    is_valid[0, 20:] = False
    means = mean_token(x, is_valid)
    torch.testing.assert_close(means[0, 0], x[0, :20].mean(dim=0))
    torch.testing.assert_close(means[1, 0], x[1].mean(dim=0))


def test_disabled_has_no_tensors_and_zero_gate_is_identity():
    plain, gated = swin(), swin(cb_cfg=dict(type='CBG'))
    assert not [name for name in plain.state_dict() if 'broadcast' in name]
    report = gated.load_state_dict(plain.state_dict(), strict=False)
    assert all('broadcast.gate' in name for name in report.missing_keys)
    x = torch.randn(2, 3, 61, 75)
    for a, b in zip(plain.eval()(x), gated.eval()(x), strict=True):
        assert torch.equal(a, b)


def test_cbs_initialises_equal_to_cb():
    models = [swin(cb_cfg=dict(type=kind)).eval() for kind in ('CB', 'CBS')]
    x = torch.randn(1, 3, 61, 75)
    for a, b in zip(*(model(x) for model in models), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('kind', TYPES)
@pytest.mark.parametrize('with_cp', [True, 'selective'])
def test_gradients_are_nonzero_and_equal_with_checkpointing(kind, with_cp):
    x, gradients = torch.randn(2, 3, 61, 75), []
    for setting in (False, with_cp):
        model = swin(cb_cfg=dict(type=kind), with_cp=setting)
        outs = model(x, image_shapes=[(61, 75), (40, 30)])
        sum((out * torch.linspace(1, 2, out.shape[1])[:, None, None]).square().sum()
            for out in outs).backward()  # fmt: skip
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-4)


def test_only_listed_stages_have_broadcast():
    model = swin(cb_cfg=dict(type='CB', stages=(1,)))
    has = [[block.broadcast is not None for block in stage.blocks] for stage in model.stages]
    assert has == [[False], [True]]


@pytest.mark.parametrize('kind', TYPES)
def test_features_are_independent_of_batch_padding(kind):
    model = swin(cb_cfg=dict(type=kind)).eval()
    for module in model.modules():
        if hasattr(module, 'gate'):
            nn.init.ones_(module.gate)
    image = torch.randn(1, 3, 32, 64)  # whole windows in both stages
    alone = model(image, image_shapes=[(32, 64)])
    batch = torch.randn(2, 3, 96, 96)
    batch[0] = 0
    batch[:1, :, :32, :64] = image
    beside = model(batch, image_shapes=[(32, 64), (96, 96)])
    unknown = model(batch)
    for a, b, c in zip(alone, beside, unknown, strict=True):
        _, _, height, width = a.shape
        torch.testing.assert_close(b[:1, :, :height, :width], a, rtol=1e-4, atol=1e-5)
        assert (c[:1, :, :height, :width] - a).abs().max() > 1e-3


@pytest.mark.slow
def test_combines_with_gaussian_and_exports(tmp_path):
    model = swin(cb_cfg=dict(type='CBS'), gab_cfg=dict(per_head=True)).eval().requires_grad_(False)
    run = export_program(model, torch.randn(2, 3, 64, 72), OpenSizes(False), tmp_path / 'cb.pt2')
    assert verify(model, run, [(1, 3, 64, 72), (3, 3, 64, 72)], print) < 1e-5


@pytest.mark.parametrize('kind', TYPES)
def test_checkpoint_requires_the_method(kind, tmp_path):
    file, plain = tmp_path / 'cb.pth', tmp_path / 'plain.pth'
    model = swin(cb_cfg=dict(type=kind))
    torch.save(model.state_dict(), file)
    torch.save(swin().state_dict(), plain)
    assert not load(swin(seed=1, cb_cfg=dict(type=kind)), str(file)).missing
    with pytest.raises(ValueError, match=r'unexpected key\(s\) \(.*broadcast'):
        load(swin(), str(file))
    report = load(model, str(plain))
    assert report.missing
    assert all('.broadcast.' in name for name in report.missing)
    contents = Contents.of(swin(cb_cfg=dict(type=kind), gab_cfg=None).state_dict(), 'cb')
    for project in ('timm', 'mmdet'):
        with pytest.raises(ValueError, match=f'{project} does not support .*broadcast'):
            export(contents, project)


@pytest.mark.parametrize(
    ('cb_cfg', 'error', 'complaint'),
    [
        ('CB', TypeError, "cb_cfg must be a dict or None .*got 'CB'"),
        (dict(type='cb'), ValueError, "type must be one of .*got 'cb'; did you mean 'CB'"),
        (dict(), ValueError, 'type must be one of .*got None'),
        (dict(type='CB', stage=1), ValueError, "no key 'stage'"),
        (
            dict(type='CB', stages=(2,)),
            ValueError,
            r'stages must hold at least one index from 0 to 1, got \(2,\)',
        ),
        (dict(type='CB', stages=()), ValueError, r'stages must hold at least one index .*got \(\)'),
    ],
)
def test_invalid_config_raises_error(cb_cfg, error, complaint):
    with pytest.raises(error, match=complaint):
        swin(cb_cfg=cb_cfg)


@pytest.mark.parametrize(
    ('shapes', 'complaint'),
    [
        ([(32, 32)], 'one entry for each of the 2 images of the batch, got 1'),
        (
            [(32, 32), (0, 32)],
            r'image_shapes\[1\] must have sides of at least 1 pixel, got \(0, 32\)',
        ),
    ],
)
def test_wrong_image_shapes_raise_error(shapes, complaint):
    model = swin(cb_cfg=dict(type='CB'))
    with pytest.raises(ValueError, match=complaint):
        model(torch.randn(2, 3, 64, 64), image_shapes=shapes)
