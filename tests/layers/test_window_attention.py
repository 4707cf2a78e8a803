import pytest
import torch

from mmgab.functional import (
    relative_offsets,
    relative_position_index,
    shift_mask,
    window_index,
    window_offsets,
    window_order,
)
from mmgab.models import ShiftWindowMSA, WindowMSA

GAUSSIAN = dict(amplitude=1.5, sigma=2.0)


def layer(shift, gab_cfg=None, window=(4, 4), table_std=1.0, **options):
    module = ShiftWindowMSA(8, 2, window, shift=shift, gab_cfg=gab_cfg, **options)
    torch.nn.init.normal_(module.w_msa.relative_position_bias_table, std=table_std)
    return module.eval()


def reach(module, size, token):
    """Which output tokens move when one input token does."""
    x = torch.randn(1, size[0] * size[1], 8)
    moved = x.clone()
    moved[0, token[0] * size[1] + token[1]] += 10.0
    with torch.no_grad():
        change = (module(moved, size) - module(x, size)).abs().sum(dim=-1)
    return (change > 0).view(size)


@pytest.mark.parametrize('gab_cfg', [None, GAUSSIAN])
def test_attention_stays_inside_the_window(gab_cfg):
    reached = reach(layer(shift=False, gab_cfg=gab_cfg), (8, 12), (5, 6))
    expected = torch.zeros(8, 12, dtype=torch.bool)
    expected[4:8, 4:8] = True
    assert torch.equal(reached, expected)


@pytest.mark.parametrize('gab_cfg', [None, GAUSSIAN])
@pytest.mark.parametrize(
    ('token', 'rows', 'cols'),
    [
        ((0, 0), (0, 2), (0, 2)),  # wraps around in both directions
        ((0, 5), (0, 2), (2, 6)),  # over the upper edge
        ((7, 0), (6, 8), (0, 2)),  # its row is the lower half of a wrapped window
        ((3, 3), (2, 6), (2, 6)),  # inside
    ],
)
def test_shifted_window_masks_wrap_around(gab_cfg, token, rows, cols):
    reached = reach(layer(shift=True, gab_cfg=gab_cfg), (8, 12), token)
    expected = torch.zeros(8, 12, dtype=torch.bool)
    expected[rows[0] : rows[1], cols[0] : cols[1]] = True
    assert torch.equal(reached, expected)


@pytest.mark.parametrize('backend', ['sdpa', 'explicit'])
def test_mask_blocks_a_large_bias(backend):
    """Far tokens are preferred by hundreds of logits, which the -100 of other Swins would allow."""
    module = layer(shift=True, attn_backend=backend)
    distance = relative_offsets((4, 4)).norm(dim=1, keepdim=True)
    with torch.no_grad():
        module.w_msa.relative_position_bias_table.copy_(500 * distance.expand(-1, 2))
    reached = reach(module, (8, 12), (0, 0))
    near = torch.zeros(8, 12, dtype=torch.bool)
    near[:2, :2] = True
    assert reached[1, 1]
    assert not (reached & ~near).any()


def test_weights_sum_to_one_over_unmasked_tokens():
    attention = layer(shift=True).w_msa
    q, k = torch.randn(2, 3, 2, 16, 4).unbind(0)
    for mask in shift_mask((2, 3), (4, 4), (2, 2)):
        weights = attention.weights(q, k, attention.position_bias(), mask)
        assert torch.equal(weights == 0, mask.expand_as(weights))
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2, 16))


@pytest.mark.parametrize('size', [(7, 9), (5, 5), (3, 11), (1, 1)])
def test_padded_window_masks_wrap_around(size):
    """Sizes are not multiples of the window; the first row must not attend to the last."""
    module = layer(shift=True, gab_cfg=GAUSSIAN, window=(3, 3), table_std=100.0)
    reached = reach(module, size, (0, 0))
    near = torch.zeros(size, dtype=torch.bool)
    near[:2, :2] = True
    assert reached[0, 0]
    assert not (reached & ~near).any()


def test_padded_tokens_are_zero_and_unmasked():
    """As in MMDetection, MMSegmentation and torchvision: published checkpoints rely on it.

    Zeros behind the norm, whose own bias they do not have.
    """
    module, norm = layer(shift=False, window=(2, 2)), torch.nn.LayerNorm(8)
    for bias in (norm.bias, module.w_msa.qkv.bias):
        torch.nn.init.normal_(bias)
    x = torch.randn(1, 1, 8)
    window = torch.cat((norm(x), torch.zeros(1, 3, 8)), dim=1)
    out = module(norm(x), (1, 1))
    torch.testing.assert_close(out, module(window, (2, 2))[:, :1])
    alone = module.w_msa.proj(module.w_msa.qkv(norm(x))[..., 16:])
    assert not torch.allclose(out, alone)


def test_bias_table_is_resized_by_load_state_dict():
    source, target = WindowMSA(8, 2, (4, 4)), WindowMSA(8, 2, (6, 6))
    torch.nn.init.constant_(source.relative_position_bias_table, 0.7)
    target.load_state_dict(source.state_dict(), strict=True)
    table = target.relative_position_bias_table
    torch.testing.assert_close(table, torch.full_like(table, 0.7))


def test_strict_load_drops_stock_position_index():
    module = WindowMSA(8, 2, (4, 4))
    stock = {**module.state_dict(), 'relative_position_index': relative_position_index((4, 4))}
    module.load_state_dict(stock, strict=True)
    assert 'relative_position_index' not in module.state_dict()


def test_layer_has_no_buffers():
    module = layer(shift=True, gab_cfg=GAUSSIAN)
    module(torch.randn(1, 64, 8), (8, 8))
    assert not list(module.buffers())


def test_inference_mode_cache_supports_training():
    window_order.cache_clear()
    window_index.cache_clear()
    window_offsets.cache_clear()
    module = layer(shift=True, gab_cfg=GAUSSIAN)
    with torch.inference_mode():
        module(torch.randn(1, 64, 8), (8, 8))
    module(torch.randn(1, 64, 8), (8, 8)).sum().backward()
    assert module.w_msa.gaussian.sigma.grad is not None


def test_geometry_caches_are_bounded():
    module = layer(shift=True)
    for height in range(4, 120, 4):
        module(torch.randn(1, height * 4, 8), (height, 4))
    assert window_order.cache_info().currsize <= window_order.cache_info().maxsize <= 16
    assert window_index.cache_info().maxsize <= 16
    assert window_offsets.cache_info().maxsize <= 16


@pytest.mark.parametrize('shift', [False, True])
def test_bfloat16_autocast_is_close_to_float32(shift):
    module = layer(shift, gab_cfg=dict(amplitude=3.0, sigma=1.0))
    x = torch.randn(2, 9 * 10, 8)
    with torch.autocast('cpu', torch.bfloat16):
        half = module(x, (9, 10))
    # bfloat16 keeps 8 bits: 2**-8 relative on values of up to about 2, a few roundings in a row.
    torch.testing.assert_close(half.float(), module(x, (9, 10)), atol=0.03, rtol=0.03)


@pytest.mark.parametrize(
    ('backend', 'rate', 'is_by_steps'),
    [('auto', 0.0, False), ('sdpa', 0.0, False), ('explicit', 0.0, True), ('auto', 0.1, True)],
)
def test_attention_is_unfused_where_required(backend, rate, is_by_steps):
    module, calls = layer(shift=False, attn_backend=backend, attn_drop_rate=rate), []
    weights = module.w_msa.weights
    module.w_msa.weights = lambda *args: calls.append(True) or weights(*args)
    module.train()(torch.randn(1, 64, 8), (8, 8))
    assert bool(calls) == is_by_steps


def test_overridden_weights_method_is_called():
    class Uniform(WindowMSA):
        def weights(self, q, k, bias, mask):
            return torch.full((*q.shape[:-1], k.shape[-2]), 1 / k.shape[-2])

    attention, x = Uniform(8, 2, (2, 2)), torch.randn(3, 4, 8)
    out = attention(x, (2, 2), (0, 0))
    values = attention.qkv(x)[..., 16:].mean(dim=1, keepdim=True)
    torch.testing.assert_close(out, attention.proj(values).expand_as(out))


@pytest.mark.parametrize('rates', [dict(attn_drop_rate=0.4), dict(proj_drop_rate=0.4)], ids=str)
def test_dropout_is_random_with_unbiased_mean(rates):
    module = layer(shift=True, window=(2, 2), gab_cfg=GAUSSIAN, **rates)
    x = torch.randn(1, 6, 8).expand(4096, -1, -1)
    with torch.no_grad():
        without = module(x[:1], (2, 3))
        outs = module.train()(x, (2, 3))
    assert (outs.std(dim=0) > 0).all()
    # Five standard errors of the mean of 4096 draws.
    assert ((outs.mean(dim=0) - without).abs() < 5 * outs.std(dim=0) / 64).all()
