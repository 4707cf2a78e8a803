import pytest
import torch
from mmcv.cnn.bricks.transformer import PatchEmbed

from mmgab.layers.patch_embedding import PatchEmbedding


@pytest.mark.parametrize('norm_cfg', [dict(type='LN'), None], ids=['norm', 'no norm'])
@pytest.mark.parametrize('patch', [(4, 4), (2, 3)], ids=str)
@pytest.mark.parametrize('size', [(1, 1), (8, 12), (9, 10), (3, 17)], ids=str)
def test_patch_embedding_equals_mmcv(size, patch, norm_cfg):
    theirs = PatchEmbed(3, 6, kernel_size=patch, stride=patch, norm_cfg=norm_cfg)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    ours = PatchEmbedding(3, 6, patch, norm_cfg)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, 3, *size)
    (out, grid), (expected, expected_grid) = ours(x), theirs(x)
    assert tuple(grid) == tuple(expected_grid)
    torch.testing.assert_close(out, expected)
