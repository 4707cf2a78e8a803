import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from mmgab.functional import (
    fit_gaussian,
    gaussian_table,
    relative_offsets,
    split_gaussian,
)

windows = st.tuples(st.integers(2, 9), st.integers(2, 9))
amplitudes = st.floats(0.2, 3)
sigmas = st.floats(0.4, 8)


def table_of(window, amplitude, sigma, heads=3, seed=0):
    """A Gaussian beside another constant for each head, in double precision."""
    constants = torch.randn(1, heads, generator=torch.Generator().manual_seed(seed))
    parameters = (torch.tensor([value], dtype=torch.float64) for value in (amplitude, sigma))
    return gaussian_table(relative_offsets(window).double(), *parameters) + constants


@given(windows, amplitudes, sigmas)
@settings(max_examples=40, deadline=None)
def test_fit_ignores_constants_of_heads(window, amplitude, sigma):
    fit = fit_gaussian(table_of(window, amplitude, sigma), relative_offsets(window))
    # Beyond twice the window the search does not go, nor does the fit get better.
    accuracy = 1e-6 if sigma < 2 * max(window) else 1e-3
    assert fit.r_squared.item() == pytest.approx(1, abs=accuracy)
    # A Gaussian much wider than the window is a parabola there: height and width trade off.
    if sigma < max(window):
        assert fit.amplitude.item() == pytest.approx(amplitude, rel=2e-3)
        assert fit.sigma.item() == pytest.approx(sigma, rel=2e-3)


def test_per_head_fit_recovers_each_gaussian():
    window = (7, 7)
    offsets = relative_offsets(window)
    amplitude, sigma = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([1.0, 2.5, 4.0])
    fit = fit_gaussian(gaussian_table(offsets, amplitude, sigma), offsets, per_head=True)
    torch.testing.assert_close(fit.amplitude, amplitude, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(fit.sigma, sigma, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('seed', range(6))
def test_fit_is_as_good_as_scipy(seed):
    """Beside scipy's, from several starts, on tables with noise."""
    window = (7, 7)
    offsets = relative_offsets(window).double()
    generator = torch.Generator().manual_seed(seed)
    noise = 0.3 * torch.randn(169, 2, generator=generator, dtype=torch.float64)
    table = table_of(window, 1.0, 1 + seed, heads=2, seed=seed) + noise

    def residuals(x):
        height, sigma, *constants = torch.tensor(x, dtype=torch.float64)
        model = gaussian_table(offsets, height.sqrt().view(1), sigma.view(1))
        return (table - model - torch.stack(constants)).flatten().numpy()

    bounds = ([0, 0.3, -9, -9], [99, 14, 9, 9])
    costs = [
        least_squares(residuals, (1, start, 0, 0), bounds=bounds).cost for start in (0.5, 2, 6)
    ]
    fit = fit_gaussian(table, offsets)
    centred = table - table.mean(dim=0)
    ours = float((1 - fit.r_squared) * centred.square().sum()) / 2
    assert ours <= min(costs) * (1 + 1e-6)


@given(windows, st.integers(0, 100), st.booleans())
@settings(max_examples=40, deadline=None)
def test_remainder_and_gaussian_add_up_to_the_table(window, seed, per_head):
    offsets = relative_offsets(window)
    table = torch.randn(len(offsets), 3, generator=torch.Generator().manual_seed(seed))
    split = split_gaussian(table, offsets, per_head)
    assert split.amplitude.shape == split.sigma.shape == ((3,) if per_head else (1,))
    bias = gaussian_table(offsets, split.amplitude, split.sigma)
    # A difference and a sum are rounded, and may be far larger than the table.
    largest = max(bias.abs().max(), split.remainder.abs().max()).item()
    torch.testing.assert_close(split.remainder + bias, table, atol=2**-23 * largest, rtol=0)


RIDGES = {
    'nothing': lambda distance: 0 * distance,
    'a constant': lambda distance: 0 * distance + 3,
    'a hole in place of a hill': lambda distance: -torch.exp(-distance / 8),
}


@pytest.mark.parametrize('shape', RIDGES)
@pytest.mark.parametrize('per_head', [False, True])
def test_split_without_gaussian_leaves_a_trainable_one(shape, per_head):
    offsets = relative_offsets((7, 7))
    table = RIDGES[shape](offsets.square().sum(dim=1, keepdim=True)).expand(-1, 2)
    fit = fit_gaussian(table, offsets, per_head)
    assert (fit.amplitude == 0).all()
    assert (fit.r_squared == 0).all()
    split = split_gaussian(table, offsets, per_head)
    assert (split.amplitude > 0).all()
    assert 'no clear Gaussian' in str(split)
    amplitude, sigma = (p.clone().requires_grad_() for p in (split.amplitude, split.sigma))
    (gaussian_table(offsets, amplitude, sigma) * offsets[:, :1]).square().sum().backward()
    assert (amplitude.grad.abs() > 0).all()
    assert (sigma.grad.abs() > 0).all()


def test_a_window_of_one_token_has_no_gaussian():
    split = split_gaussian(torch.randn(1, 3), relative_offsets((1, 1)))
    assert split.r_squared.item() == 0
    assert split.remainder.isfinite().all()


def test_good_fit_line_has_no_warning():
    offsets = relative_offsets((7, 7))
    split = split_gaussian(gaussian_table(offsets, torch.ones(1), torch.tensor([2.0])), offsets)
    assert str(split) == 'A 1.000 logits, sigma 2.000 tokens, R^2 1.000'
