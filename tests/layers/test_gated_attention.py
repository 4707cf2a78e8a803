"""Gated positional self-attention: what it reduces to, its start, networks with it, bad input."""

import pytest
import timm
import torch
from torch import nn

from mmgab.checkpoints import Contents, export, load
from mmgab.deployment import OpenSizes, export_program, verify
from mmgab.layers.gated_attention import LocalPosition, mix_weights
from mmgab.layers.window_attention import WindowMSA
from mmgab.models import SwinGAB

# Grids that are no whole windows, and a shifted block a stage.
TWO = dict(embed_dims=8, depths=(2, 2), num_heads=(2, 4), window_size=(3, 4), out_indices=(0, 1))


def swin(seed=0, **arguments):
    torch.manual_seed(seed)
    return SwinGAB(**{**TWO, 'drop_path_rate': 0.0, **arguments})


def layers(model):
    return [m for m in model.modules() if isinstance(m, WindowMSA) and m.local is not None]


def weights_of(layer, q, k, mask=None):
    content = layer.weights(q, k, layer.position_bias(), mask)
    return mix_weights(content, *layer.local_scores(layer.window_size, q.device), mask)


def gated(gate, **arguments):
    """A network and the same without gates; all gates are set."""
    plain, model = swin(**arguments), swin(gpsa_cfg=dict(values='random'), **arguments)
    model.load_state_dict(plain.state_dict(), strict=False)
    for layer in layers(model):
        nn.init.constant_(layer.local.gate, gate)
    return plain.eval(), model.eval()


@pytest.mark.parametrize('gab_cfg', [None, dict(per_head=True)])
def test_closed_gate_equals_network_without_gates(gab_cfg):
    plain, model = gated(-100.0, gab_cfg=gab_cfg)
    x = torch.randn(2, 3, 61, 75)
    for a, b in zip(plain(x), model(x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_open_gate_uses_only_position():
    _, model = gated(100.0)
    layer = layers(model)[0]
    tokens, head_dim = 12, 4
    v = torch.randn(5, 2, tokens, head_dim)
    weights = [weights_of(layer, torch.randn_like(v), torch.randn_like(v)) for _ in range(2)]
    torch.testing.assert_close(*weights)
    torch.testing.assert_close(weights[0].sum(dim=-1), torch.ones(5, 2, tokens))


def test_shift_mask_applies_to_content_and_position():
    for gate in (-100.0, 0.0, 100.0):
        layer = layers(gated(gate)[1])[0]
        mask = torch.zeros(12, 12, dtype=torch.bool)
        mask[:6, 6:] = mask[6:, :6] = True
        q = torch.randn(3, 2, 12, 4)
        weights = weights_of(layer, q, q, mask)
        assert weights[..., mask].abs().max() == 0
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2, 12))


@pytest.mark.parametrize(('heads', 'side'), [(1, 1), (4, 2), (9, 3), (16, 4), (6, 2), (12, 3)])
def test_head_centres_form_a_square(heads, side):
    local = LocalPosition(heads, strength=2.0, gate=1.0)
    steps = torch.linspace(-3, 3, 25)  # quarters of a token
    offsets = torch.cartesian_prod(steps, steps)
    local.requires_grad_(False)
    scores, share = local(offsets)
    peaks = offsets[scores.argmax(dim=0)]  # (heads, 2), (dy, dx)
    ends = (side - 1) / 2
    square = [(y - ends, x - ends) for x in range(side) for y in range(side)]
    rest = [(0.0, 0.0)] * (heads - side * side)
    assert [tuple(peak) for peak in peaks.tolist()] == square + rest
    # A Gaussian of variance 1 / (2 strength) about its centre: scores are -|offset|^2 / (2 var).
    flat = local(torch.tensor([[ends, ends]]))[0] - local(torch.tensor([[ends + 1, ends]]))[0]
    assert flat[0, side * side - 1] == pytest.approx(2.0)
    torch.testing.assert_close(share.flatten(), torch.full((heads,), 0.7310586))


def test_head_attends_to_its_centre():
    layer = WindowMSA(16, 4, (5, 5), gpsa_cfg=dict(strength=20.0, gate=100.0))
    with torch.no_grad():
        layer.local.position.copy_(20 * torch.tensor([2.0, 0.0, -1.0]).expand(4, 3))  # dx = 1
    q = torch.randn(1, 4, 25, 4)
    weights = weights_of(layer, q, q)
    assert (weights[0, :, 12].argmax(dim=-1) == 13).all()  # the right neighbour of the middle


def test_positional_attention_equals_convit():
    """Compares outputs only, with timm's ConViT on square numbers of heads and tokens."""
    theirs = timm.models.convit.GPSA(16, num_heads=4, locality_strength=1.5)
    theirs.local_init()
    x = torch.randn(1, 25, 16)
    theirs.rel_indices = theirs.get_rel_indices(25)
    nn.init.constant_(theirs.gating_param, 100.0)
    expected = theirs.get_attention(x)[0]
    layer = WindowMSA(16, 4, (5, 5), gpsa_cfg=dict(strength=1.5, gate=100.0))
    q = torch.randn(1, 4, 25, 4)
    found = weights_of(layer, q, q)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_value_weights_initialise_to_identity_or_random():
    weight = layers(swin(gpsa_cfg=dict()))[0].qkv.weight.detach().chunk(3)[2]
    assert torch.equal(weight, torch.eye(8))
    weight = layers(swin(gpsa_cfg=dict(values='random')))[0].qkv.weight.detach().chunk(3)[2]
    assert weight.std() == pytest.approx(0.02, rel=0.3)


@pytest.mark.parametrize('with_cp', [True, 'selective'])
def test_gradients_are_nonzero_and_equal_with_checkpointing(with_cp):
    x, gradients = torch.randn(2, 3, 61, 75), []
    for setting in (False, with_cp):
        model = swin(gpsa_cfg=dict(), with_cp=setting)
        sum((out * torch.linspace(1, 2, out.shape[1])[:, None, None]).square().sum()
            for out in model(x)).backward()  # fmt: skip
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_combines_with_context_broadcast_and_exports(tmp_path):
    model = swin(gpsa_cfg=dict(stages=(0,)), cb_cfg=dict(type='CB')).eval().requires_grad_(False)
    assert len(layers(model)) == 2
    run = export_program(model, torch.randn(2, 3, 61, 75), OpenSizes(False), tmp_path / 'gpsa.pt2')
    assert verify(model, run, [(1, 3, 61, 75), (3, 3, 61, 75)], print) < 1e-5


def test_checkpoint_requires_the_method(tmp_path):
    file, plain = tmp_path / 'gpsa.pth', tmp_path / 'plain.pth'
    model = swin(gpsa_cfg=dict(), gab_cfg=None)
    torch.save(model.state_dict(), file)
    torch.save(swin().state_dict(), plain)
    assert not load(swin(seed=1, gpsa_cfg=dict(), gab_cfg=None), str(file)).missing
    with pytest.raises(ValueError, match=r'unexpected key\(s\) \(.*local'):
        load(swin(), str(file))
    report = load(swin(gpsa_cfg=dict()), str(plain))
    assert {name.rpartition('.local.')[2] for name in report.missing} == {'position', 'gate'}
    with pytest.raises(ValueError, match=r'timm does not support .*local'):
        export(Contents.of(model.state_dict(), 'gpsa'), 'timm')


@pytest.mark.parametrize(
    ('arguments', 'error', 'complaint'),
    [
        (dict(gpsa_cfg=True), TypeError, 'gpsa_cfg must be a dict or None .*got True'),
        (dict(gpsa_cfg=dict(strenght=1)), ValueError, "no key 'strenght'; did you mean 'strength'"),
        (
            dict(gpsa_cfg=dict(strength=0)),
            ValueError,
            'strength must be finite and greater than 0, got 0',
        ),
        (dict(gpsa_cfg=dict(gate='low')), TypeError, "gate must be a number, got 'low'"),
        (dict(gpsa_cfg=dict(values='eye')), ValueError, "values must be one of .*got 'eye'"),
        (
            dict(gpsa_cfg=dict(stages=(7,))),
            ValueError,
            r'gpsa_cfg: stages must hold at least one index .*got \(7,\)',
        ),
        (
            dict(gpsa_cfg=dict(), attn_backend='sdpa'),
            ValueError,
            "'sdpa' does not support gpsa_cfg",
        ),
    ],
)
def test_invalid_config_raises_error(arguments, error, complaint):
    with pytest.raises(error, match=complaint):
        swin(**arguments)


def test_folding_gates_raises_error():
    with pytest.raises(ValueError, match='gates of gpsa_cfg cannot be folded'):
        swin(gpsa_cfg=dict(), gab_cfg=None).fold_()
