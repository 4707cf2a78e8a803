import math

import pytest
import torch

from mmgab.functional import relative_offsets, relative_position_index
from mmgab.models import GaussianBias, WindowMSA, gaussian_table

WINDOWS = [(7, 7), (3, 5)]


def attend(attention, x):
    """Attention in images that are one window of 4 x 4."""
    return attention(x, (4, 4), (0, 0))


def reference_by_slicing(window, amplitude, sigma):
    """The paper's own construction: a wide map, a crop of it for each query, stacked."""
    height, width = window
    wide = torch.empty(2 * height - 1, 2 * width - 1, dtype=torch.float64)
    for u in range(2 * height - 1):
        for v in range(2 * width - 1):
            squared = (u - height + 1) ** 2 + (v - width + 1) ** 2
            wide[u, v] = amplitude**2 * math.exp(-squared / (2 * sigma**2))
    rows = []
    for y in range(height):
        for x in range(width):
            top, left = height - 1 - y, width - 1 - x
            rows.append(wide[top : top + height, left : left + width].flatten())
    return torch.stack(rows)


@pytest.mark.parametrize('window', WINDOWS)
@pytest.mark.parametrize(('amplitude', 'sigma'), [(1.0, 5.0), (-2.0, 1.5), (0.3, -0.7)])
def test_gathered_table_equals_paper_construction(window, amplitude, sigma):
    table = gaussian_table(
        relative_offsets(window), torch.tensor([amplitude]), torch.tensor([sigma])
    )
    gathered = table[relative_position_index(window)].squeeze(-1).double()
    torch.testing.assert_close(gathered, reference_by_slicing(window, amplitude, sigma))


@pytest.mark.parametrize('window', WINDOWS)
def test_layer_bias_equals_pairwise_formula(window):
    attention = WindowMSA(8, 2, window, gab_cfg=dict(amplitude=1.3, sigma=2.0, per_head=True))
    torch.nn.init.zeros_(attention.relative_position_bias_table)
    with torch.no_grad():
        attention.gaussian.sigma.copy_(torch.tensor([2.0, 0.8]))
    bias = attention.position_bias()
    for head, sigma in enumerate((2.0, 0.8)):
        for query in range(len(bias[0])):
            for key in range(len(bias[0])):
                dy = query // window[1] - key // window[1]
                dx = query % window[1] - key % window[1]
                expected = 1.3**2 * math.exp(-(dy**2 + dx**2) / (2 * sigma**2))
                assert bias[head, query, key].item() == pytest.approx(expected, rel=1e-5)


def test_bias_is_symmetric_peaked_and_shared_by_heads():
    attention = WindowMSA(12, 3, (5, 4), gab_cfg=dict(sigma=1.5))
    torch.nn.init.zeros_(attention.relative_position_bias_table)
    bias = attention.position_bias()
    assert torch.equal(bias, bias.transpose(1, 2))
    assert torch.equal(bias.argmax(dim=2), torch.arange(20).expand(3, 20))
    assert torch.equal(bias[0], bias[1])
    assert torch.equal(bias[0], bias[2])


@pytest.mark.parametrize('sigma', [0.0, 1e-30, 1e-12, 1e-8, 1e-3, 1.0, 1e8, 1e20])
@pytest.mark.parametrize('amplitude', [0.0, 1.0, 100.0])
def test_bias_and_gradients_are_finite_for_any_sigma(amplitude, sigma):
    amplitude = torch.tensor([amplitude], requires_grad=True)
    sigma = torch.tensor([sigma], requires_grad=True)
    table = gaussian_table(relative_offsets((7, 7)), amplitude, sigma)
    gradients = torch.autograd.grad(table.sum(), (amplitude, sigma))
    for values in (table, *gradients):
        assert values.isfinite().all()


def test_zero_sigma_peaks_only_at_zero_offset():
    offsets = relative_offsets((7, 7))
    table = gaussian_table(offsets, torch.tensor([3.0]), torch.tensor([0.0])).squeeze(1)
    assert torch.equal(table, 9.0 * (offsets.abs().sum(dim=1) == 0))


def test_large_sigma_equals_baseline_attention():
    attention = WindowMSA(8, 2, (4, 4), gab_cfg=dict(amplitude=3.0, sigma=1e8))
    plain = WindowMSA(8, 2, (4, 4))
    plain.load_state_dict(attention.state_dict(), strict=False)
    x = torch.randn(3, 16, 8)
    torch.testing.assert_close(attend(attention, x), attend(plain, x), atol=1e-6, rtol=1e-5)


def test_zero_amplitude_equals_baseline_attention():
    attention = WindowMSA(8, 2, (4, 4), gab_cfg=dict(amplitude=0, learnable=False))
    plain = WindowMSA(8, 2, (4, 4))
    plain.load_state_dict(attention.state_dict(), strict=False)
    x = torch.randn(3, 16, 8)
    assert torch.equal(attend(attention, x), attend(plain, x))


def test_narrow_high_bias_gives_identity_attention():
    attention = WindowMSA(8, 2, (4, 4), gab_cfg=dict(amplitude=100.0, sigma=0.1))
    q, k = torch.randn(2, 3, 2, 16, 4).unbind(0)
    weights = attention.weights(q, k, attention.position_bias(), None)
    torch.testing.assert_close(weights, torch.eye(16).expand_as(weights))


def test_parameters_are_one_dimensional():
    assert GaussianBias(num_heads=3).sigma.shape == (1,)
    assert GaussianBias(num_heads=3, per_head=True).amplitude.shape == (3,)
    assert GaussianBias(num_heads=1, per_head=True).amplitude.shape == (1,)


def test_frozen_gaussian_requires_no_grad():
    assert not any(p.requires_grad for p in GaussianBias(2, learnable=False).parameters())
    assert all(p.requires_grad for p in GaussianBias(2).parameters())


@pytest.mark.parametrize(
    ('gab_cfg', 'error', 'words'),
    [
        (dict(sigm=5.0), ValueError, ['sigm', "'sigma'", 'amplitude', 'per_head', 'learnable']),
        (dict(num_heads=3), ValueError, ['num_heads']),
        (dict(sigma=-1.0), ValueError, ['sigma', '-1.0']),
        (dict(amplitude=-0.5), ValueError, ['amplitude', '-0.5']),
        (dict(sigma=math.nan), ValueError, ['sigma', 'nan']),
        (dict(amplitude=math.inf), ValueError, ['amplitude', 'inf']),
        (dict(amplitude=0), ValueError, ['amplitude', 'never learn', 'learnable=False']),
        (dict(sigma=0.0), ValueError, ['sigma', 'never learn']),
        (dict(sigma='5'), TypeError, ['sigma', "'5'"]),
        (dict(amplitude=True), TypeError, ['amplitude', 'True']),
        (dict(sigma=[5.0]), TypeError, ['sigma', '[5.0]']),
        (dict(per_head=1), TypeError, ['per_head', '1']),
        (dict(learnable='no'), TypeError, ['learnable', "'no'"]),
        (True, TypeError, ['gab_cfg', 'True']),
        ([('sigma', 5)], TypeError, ['gab_cfg']),
    ],
)
def test_invalid_gab_cfg_raises_error_with_fix(gab_cfg, error, words):
    with pytest.raises(error) as caught:
        WindowMSA(8, 2, (4, 4), gab_cfg=gab_cfg)
    for word in words:
        assert word in str(caught.value)
