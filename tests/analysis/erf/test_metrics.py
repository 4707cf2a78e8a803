"""Numbers of maps that are known in closed form."""

import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from mmgab.analysis.erf import describe_map, fit_surface, window_energy, with_intervals


def gaussian(shape, row, col, sigma_x, sigma_y, degrees):
    """A normalised Gaussian, its axes turned from x to y."""
    y, x = np.indices(shape)
    angle = math.radians(degrees)
    u = math.cos(angle) * (x - col) + math.sin(angle) * (y - row)
    v = -math.sin(angle) * (x - col) + math.cos(angle) * (y - row)
    values = np.exp(-0.5 * ((u / sigma_x) ** 2 + (v / sigma_y) ** 2))
    return values / values.sum()


@pytest.mark.parametrize('noise', [0.0, 0.02])
@pytest.mark.parametrize(
    ('shape', 'row', 'col', 'sigma_x', 'sigma_y', 'degrees'),
    [
        ((96, 128), 50.0, 61.0, 9.0, 6.0, 30.0),
        ((96, 128), 40.3, 80.7, 5.0, 12.0, -20.0),
        ((128, 97), 63.5, 48.0, 10.0, 10.0, 0.0),
        ((64, 64), 31.0, 31.0, 1.2, 1.5, 0.0),
    ],
)
def test_gaussian_fit_recovers_parameters(shape, row, col, sigma_x, sigma_y, degrees, noise):
    values = gaussian(shape, row, col, sigma_x, sigma_y, degrees)
    values += noise * values.max() * np.random.default_rng(0).normal(size=shape)
    fit = fit_surface(values)
    assert fit.is_found
    assert fit.amplitude == pytest.approx(1, rel=0.01 + noise)
    assert (fit.row, fit.col) == pytest.approx((row, col), abs=0.01 * max(sigma_x, sigma_y) + noise)
    assert (fit.sigma_x, fit.sigma_y) == pytest.approx((sigma_x, sigma_y), rel=0.01 + noise)
    if sigma_x != sigma_y:
        assert fit.angle == pytest.approx(degrees, abs=1 + 100 * noise)
    if not noise:
        assert fit.r_squared == pytest.approx(1, abs=1e-6)


def test_ramp_is_not_a_gaussian():
    ramp = np.add.outer(np.arange(40.0), np.zeros(50))
    assert not fit_surface(ramp).is_found


def test_a_constant_map_has_no_gaussian():
    with pytest.raises(ValueError, match='constant map'):
        fit_surface(np.ones((8, 9)))


def test_round_gaussian_metrics_match_closed_form():
    sigma, shape, centre = 8.0, (129, 161), (64.0, 80.0)
    numbers = describe_map(gaussian(shape, *centre, sigma, sigma, 0), centre)
    # Within a radius r lies 1 - exp(-r^2 / 2 sigma^2).
    assert numbers['r50'] == pytest.approx(sigma * math.sqrt(2 * math.log(2)), abs=0.5)
    assert numbers['r90'] == pytest.approx(sigma * math.sqrt(2 * math.log(10)), abs=0.5)
    assert numbers['r50_percent'] == pytest.approx(100 * numbers['r50'] / 129)
    assert numbers['mass_10'] == pytest.approx(1 - math.exp(-100 / 128), abs=0.02)
    assert numbers['entropy'] == pytest.approx(1 + math.log(2 * math.pi * sigma**2), abs=1e-6)
    assert numbers['anisotropy'] == pytest.approx(0, abs=1e-6)
    assert numbers['offset_y'] == pytest.approx(0, abs=1e-9)
    # A square of half side s holds erf(s / (sigma sqrt 2))^2.
    side = numbers['square_0.5_side']
    inside = math.erf(side / 2 / (sigma * math.sqrt(2))) ** 2
    assert inside == pytest.approx(0.5, abs=0.05)
    assert numbers['square_0.5_area'] == pytest.approx(side**2 / (129 * 161))


def replknet_rectangle(scores, share):
    """Side and area ratio as RepLKNet's published script finds them, about the map's middle."""
    scores = np.log10(scores + 1)
    height, width = scores.shape
    for i in range(1, height // 2):
        rows, cols = (slice(n // 2 - i, n // 2 + 1 + i) for n in (height, width))
        if scores[rows, cols].sum() / scores.sum() > share:
            return i * 2 + 1, (i * 2 + 1) / height * (i * 2 + 1) / width
    return None


@pytest.mark.parametrize('scale', [1.0, 1e4])
def test_log_square_matches_replknet_script(scale):
    draw = np.random.default_rng(0)
    scores = scale * gaussian((129, 129), 64, 64, 9, 9, 0) * draw.random((129, 129))
    numbers = describe_map(scores, (64, 64))
    for share in (0.2, 0.3, 0.5, 0.99):
        found = numbers[f'log_square_{share}_side'], numbers[f'log_square_{share}_area']
        assert found == pytest.approx(replknet_rectangle(scores, share))
    # With large scores the logarithm flattens the map: another area than of the map itself.
    is_other = numbers['log_square_0.99_side'] > numbers['square_0.99_side']
    assert is_other == (scale > 1)


def test_gaussian_matches_five_parameter_form():
    def surface(at, amplitude, x, y, sigma_x, sigma_y):  # as the paper's code writes it
        distance = (at[0] - x) ** 2 / (2 * sigma_x**2) + (at[1] - y) ** 2 / (2 * sigma_y**2)
        return (amplitude * np.exp(-distance) / (2 * np.pi * sigma_x * sigma_y)).ravel()

    values = gaussian((64, 64), 31, 33, 9, 5, 35)
    mesh = np.meshgrid(np.arange(64), np.arange(64))
    start = (2, 0.8 * 31.5, 0.8 * 31.5, 63 / 10 / 1.5, 63 / 6 / 1.5)
    (amplitude, x, y, *sigmas), _ = curve_fit(surface, mesh, values.ravel(), start)
    numbers = describe_map(values, (32, 32))
    found = [numbers[f'fit_{name}'] for name in ('amplitude', 'col', 'row', 'sigma_x', 'sigma_y')]
    assert found == pytest.approx([amplitude, x, y, *map(abs, sigmas)], rel=1e-3)
    left = values.ravel() - surface(mesh, amplitude, x, y, *sigmas)
    assert numbers['fit_r_squared'] == pytest.approx(1 - left.var() / values.var(), abs=1e-6)
    assert numbers['turned_r_squared'] == pytest.approx(1, abs=1e-6)
    assert numbers['turned_angle'] == pytest.approx(35, abs=0.1)


def test_square_centred_between_pixels_has_even_side():
    numbers = describe_map(np.pad(np.ones((2, 2)), 7), (7.5, 7.5))
    assert numbers['square_0.99_side'] == 2
    assert numbers['square_0.99_area'] == 4 / 256


def test_whole_map_holds_any_share():
    corner = np.zeros((10, 12))
    corner[0, 0] = 1
    assert describe_map(corner + 1e-9, (5, 6))['square_0.99_side'] == 13


def test_line_has_maximal_anisotropy():
    line = np.zeros((21, 21))
    line[10, 3:18] = 1
    assert describe_map(line + 1e-12, (10, 10))['anisotropy'] == pytest.approx(1, abs=1e-3)


def test_offset_of_the_centre_is_measured():
    numbers = describe_map(gaussian((64, 64), 30, 35, 4, 4, 0), (32, 32))
    assert (numbers['offset_y'], numbers['offset_x']) == pytest.approx((-2, 3), abs=1e-6)


def test_window_grid_differs_from_noise_and_other_grids():
    draw = np.random.default_rng(0)
    smooth = gaussian((140, 168), 70, 84, 40, 40, 0)
    noisy = smooth * (1 + 0.1 * draw.normal(size=smooth.shape))
    grid = smooth * (
        1 + 0.1 * (np.arange(140)[:, None] % 14 == 0) + 0.1 * (np.arange(168) % 14 == 0)
    )
    assert window_energy(grid, (14, 14)) > 0.8
    assert window_energy(noisy, (14, 14)) < 0.3
    assert window_energy(grid, (10, 12)) < 0.3


@pytest.mark.parametrize('values', [np.zeros((4, 4)), np.full((4, 4), np.nan)])
def test_map_without_contributions_raises_error(values):
    with pytest.raises(ValueError, match='finite and not all 0, got a sum of'):
        describe_map(values, (2, 2))


def test_intervals_hold_what_is_drawn():
    rows = with_intervals({'mean': 50.0}, [{'mean': float(value)} for value in range(101)])
    assert rows == {'mean': {'value': 50.0, 'low': 2.5, 'high': 97.5}}
    assert with_intervals({'mean': 3.0}, []) == {'mean': {'value': 3.0}}
