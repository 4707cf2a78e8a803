import pytest
import torch
from mmcv.cnn.bricks.transformer import PatchMerging as StockPatchMerging

from mmgab.layers.patch_merging import PatchMerging


@pytest.mark.parametrize('norm_cfg', [dict(type='LN'), None], ids=['norm', 'no norm'])
@pytest.mark.parametrize('stride', [(1, 1), (2, 2), (3, 3), (2, 1), (1, 3)], ids=str)
@pytest.mark.parametrize('size', [(1, 1), (5, 7), (6, 3), (4, 8)], ids=str)
def test_patch_merging_equals_mmcv(size, stride, norm_cfg):
    theirs = StockPatchMerging(6, 12, stride=stride, norm_cfg=norm_cfg)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours = PatchMerging(6, stride, norm_cfg)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, size[0] * size[1], 6, requires_grad=True)
    (out, grid), (expected, expected_grid) = ours(x, size), theirs(x, size)
    assert tuple(grid) == tuple(expected_grid)
    torch.testing.assert_close(out, expected)
    direction = torch.randn_like(out)
    gradients = (torch.autograd.grad(y, x, direction)[0] for y in (out, expected))
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)
