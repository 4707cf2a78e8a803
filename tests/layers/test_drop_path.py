import pytest
import torch

from mmgab.layers.drop_path import DropPath


def test_drop_path_drops_or_scales_each_image():
    x, branch = torch.randn(4000, 3, 5), torch.randn(4000, 3, 5)
    added = DropPath(0.3)(x, branch) - x
    is_dropped = (added.abs() < 1e-6).all(dim=(1, 2))
    torch.testing.assert_close(added[~is_dropped], branch[~is_dropped] / 0.7)
    # Five standard deviations of the share of 4000 draws.
    assert is_dropped.float().mean() == pytest.approx(0.3, abs=5 * (0.3 * 0.7 / 4000) ** 0.5)


@pytest.mark.parametrize('module', [DropPath(0.9).eval(), DropPath(0.0)], ids=['eval', 'rate 0'])
def test_drop_path_is_inactive_in_eval_or_at_rate_zero(module):
    x, branch = torch.randn(2, 50, 3, 5)
    assert torch.equal(module(x, branch), x + branch)
