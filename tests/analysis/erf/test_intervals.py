"""Intervals over images of numbers whose names may change places."""

import numpy as np

from mmgab.analysis.erf import ContributionSums, describe_sums


def test_axes_keep_their_names_in_every_sample():
    rows, cols = np.mgrid[:64, :64] - 31.5
    along, across = (cols + rows) / 2**0.5, (cols - rows) / 2**0.5
    bump = np.exp(-(along**2) / (2 * 12**2) - across**2 / (2 * 6**2))
    draw, sums = np.random.default_rng(0), ContributionSums.empty((64, 64))
    for _ in range(8):
        sums.add(bump * (1 + 0.1 * draw.random((64, 64))))
    numbers = describe_sums(sums, (31.5, 31.5), samples=20)
    for name, width in (('fit_sigma_x', 0.2), ('fit_sigma_y', 0.2), ('fit_angle', 3)):
        assert numbers[name]['high'] - numbers[name]['low'] < width
    sigmas = sorted(numbers[name]['value'] for name in ('fit_sigma_x', 'fit_sigma_y'))
    np.testing.assert_allclose(sigmas, (6, 12), rtol=0.02)
    assert list(numbers['fit_is_found']) == ['value']
