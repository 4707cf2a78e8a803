"""Measures and verdicts of the ERF study; `make erf-study` runs the study."""

import numpy as np
import pytest
import torch
from torch import nn

from mmgab.analysis.erf import ContributionSums, Erf
from mmgab.analysis.erf.units import centre
from projects.erf import __main__ as erf
from projects.erf.claims_page import FAILS, HOLDS, MARK, PARTLY, Row, redrawn_name, write_page
from projects.erf.measures import beyond, beyond_map, fit_bump
from projects.erf.untrained_networks import (
    BIASES,
    GAUSSIANS,
    NO_POSITION,
    REDRAWN,
    TABLE,
    set_bias_,
)

SIDE, STRIDE = 224, 16


def field(values):
    """Return a field that is equal in every image."""
    sums = ContributionSums.empty((SIDE, SIDE))
    for _ in range(3):
        sums.add(values)
    grid = (SIDE // STRIDE, SIDE // STRIDE)
    return Erf('gab2023', (SIDE, SIDE), grid, centre(grid), [sums])


def bump(sigma, height, own=0.0):
    at = field(np.ones((SIDE, SIDE))).centre(0)
    y, x = np.ogrid[:SIDE, :SIDE]
    squares = (y - at[0]) ** 2 + (x - at[1]) ** 2
    inside = (abs(y - at[0]) < STRIDE / 2) & (abs(x - at[1]) < STRIDE / 2)
    return 1 + height * np.exp(-squares / (2 * sigma**2)) + own * inside


@pytest.mark.parametrize('own', [0.0, 1e5])
def test_fit_beyond_ignores_the_own_patch(own):
    found = beyond(field(bump(30, 4, own)))
    assert found['r_squared']['value'] > 0.999
    assert found['sigma']['value'] == pytest.approx(30, rel=0.01)
    assert found['near_by_far']['value'] > 2
    assert (found['own_patch']['value'] > 0.99) == (own > 0)
    assert beyond_map(field(bump(30, 4, own))).max() < 6


def test_field_without_gaussian_has_zero_r_squared():
    noise = np.random.default_rng(0).random((SIDE, SIDE)) + 0.5
    found = beyond(field(noise))
    assert found['r_squared']['value'] < 0.05
    assert found['near_by_far']['value'] == pytest.approx(1, abs=0.05)


def test_field_growing_with_distance_has_no_gaussian():
    distance = np.linspace(1, 100, 400)
    assert fit_bump(distance, distance)[0] < 0.01


def test_tables_equal_the_requested_bias():
    module = nn.Module()
    module.window_size = (7, 7)
    module.relative_position_bias_table = nn.Parameter(torch.full((169, 3), 9.0))
    set_bias_(module, NO_POSITION)
    assert not module.relative_position_bias_table.any()
    set_bias_(module, GAUSSIANS[0])
    table = module.relative_position_bias_table.detach()
    assert table[84].mean() == pytest.approx(1, abs=0.1)  # no offset
    assert table[0].abs().max() < 0.1


def test_sigmas_are_read_from_the_last_checkpoint(tmp_path):
    for name in erf.NUCLEI:
        folder = tmp_path / name
        folder.mkdir()
        for epoch, sigma in ((2, -4.5), (27, 1.0)):
            torch.save(dict(state_dict={'a.gaussian.sigma': torch.tensor([sigma])}),
                       folder / f'epoch_{epoch}.pth')  # fmt: skip
        (folder / 'last_checkpoint').write_text('/elsewhere/epoch_2.pth')
    assert erf.learned_sigmas(tmp_path) == {name: [4.5] for name in erf.NUCLEI}


def rows(fits, others=()):
    def number(value):
        return dict(value=value, low=value - 0.01, high=value + 0.01)

    return [
        Row(name, dict(fit_r_squared=number(0.2)),
            {key: number(fit) for key in ('own_patch', 'r_squared', 'sigma', 'near_by_far')},
            list(others), None, None, 17)
        for name, fit in fits.items()
    ]  # fmt: skip


def verdicts(tmp_path, fits, before=0.1, after=0.2, others=()):
    page = tmp_path / 'erf.md'
    page.write_text(f'kept\n{MARK}of another study')
    nuclei = dict(model=rows(dict(before=before, after=after)))
    write_page(page, dict(network=rows(fits, others)), nuclei, dict(model=[4.9, 5.1]))
    text = page.read_text()
    assert text.startswith(f'kept\n{MARK}')
    assert 'of another study' not in text
    lines = [line for line in text.splitlines() if '**' in line]
    return [line.split('**')[1].rstrip('.') for line in lines][:4]


def test_verdicts_follow_the_numbers(tmp_path):
    flat = {bias.name: 0.1 for bias in BIASES}
    assert verdicts(tmp_path, flat) == [HOLDS, FAILS, FAILS, FAILS]
    steep = flat | {bias.name: 0.8 for bias in BIASES if bias.height}
    assert verdicts(tmp_path, steep, after=0.6) == [HOLDS, HOLDS, HOLDS, HOLDS]
    assert verdicts(tmp_path, flat | {TABLE.name: 0.3})[0] == FAILS
    assert (
        verdicts(tmp_path, flat, before=0.6, after=0.61)[3] == FAILS
    )  # not above the value before training
    some = flat | {GAUSSIANS[1].name: 0.8}
    assert verdicts(tmp_path, some)[1] == PARTLY
    assert verdicts(tmp_path, some, others=[0.8, 0.4])[1] == FAILS  # not for all draws of weights


@pytest.mark.parametrize(('redrawn', 'verdict'), [(0.3, HOLDS), (0.69, FAILS)])
def test_redrawn_positions_are_compared_with_trained_ones(tmp_path, redrawn, verdict):
    page = tmp_path / 'erf.md'
    page.write_text(MARK)
    fits = dict(before=0.1, after=0.7) | {redrawn_name(bias): redrawn for bias in REDRAWN}
    nuclei = dict(plain=rows(fits), gab=rows(dict(before=0.1, after=0.7)))
    write_page(page, dict(network=rows({b.name: 0.1 for b in BIASES})), nuclei, dict(gab=[5.0]))
    (line,) = (line for line in page.read_text().splitlines() if 'are drawn anew |' in line)
    assert f'**{verdict}.**' in line
    assert 'gab' not in line


def test_page_without_marker_is_not_changed(tmp_path):
    page = tmp_path / 'erf.md'
    page.write_text('something else')
    with pytest.raises(ValueError, match='has no line'):
        write_page(page, {}, {}, {})
    assert page.read_text() == 'something else'
