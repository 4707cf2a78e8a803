"""Intervals over images of numbers whose names may change places."""

import numpy as np
import pytest

from mmgab.analysis.erf import ContributionSums, describe_sums, with_intervals


def test_axes_keep_their_names_in_every_sample():
    rows, cols = np.mgrid[:64, :64] - 31.5
    along, across = (cols + rows) / 2**0.5, (cols - rows) / 2**0.5
    bump = np.exp(-(along**2) / (2 * 12**2) - across**2 / (2 * 6**2))
    draw, sums = np.random.default_rng(0), ContributionSums.empty((64, 64))
    for _ in range(8):
        sums.add(bump * (1 + 0.1 * draw.random((64, 64))))
    numbers = describe_sums(sums, (31.5, 31.5), samples=20)
    for name, width in (('turned_sigma_x', 0.2), ('turned_sigma_y', 0.2), ('turned_angle', 3)):
        assert numbers[name]['high'] - numbers[name]['low'] < width
    sigmas = sorted(numbers[name]['value'] for name in ('turned_sigma_x', 'turned_sigma_y'))
    np.testing.assert_allclose(sigmas, (6, 12), rtol=0.02)
    assert list(numbers['turned_is_found']) == ['value']
    # Along the axes of the image, as the paper's code fits it, both widths are the same.
    along = [numbers[name]['value'] for name in ('fit_sigma_x', 'fit_sigma_y')]
    assert along[0] == pytest.approx(along[1], rel=0.01)
    assert numbers['fit_angle'] == dict(value=0.0, low=0.0, high=0.0)
    assert numbers['fit_r_squared']['high'] < numbers['turned_r_squared']['low']
    assert list(numbers['fit_is_found']) == ['value']


def test_interval_spans_the_central_95_percent():
    samples = [dict(r50=float(value), fit_is_found=1.0) for value in range(101)]
    found = with_intervals(dict(r50=40.0, fit_is_found=1.0), samples)
    assert found == dict(r50=dict(value=40.0, low=2.5, high=97.5), fit_is_found=dict(value=1.0))
    assert with_intervals(dict(r50=40.0), []) == dict(r50=dict(value=40.0))
