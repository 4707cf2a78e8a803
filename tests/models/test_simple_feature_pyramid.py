import pytest
import torch
from mmcv.ops import roi_align as mmcv_roi_align
from torchvision.ops import roi_align

from mmgab.models import SimpleFeaturePyramid


def test_level_sizes_follow_the_scales():
    neck = SimpleFeaturePyramid(16, 8, num_outs=5)
    maps = neck([torch.randn(2, 16, 3, 3), torch.randn(2, 16, 7, 5)])
    sides = [tuple(m.shape[1:]) for m in maps]
    assert sides == [(8, 28, 20), (8, 14, 10), (8, 7, 5), (8, 4, 3), (8, 2, 2)]


def test_roi_align_equals_torchvision():
    """RoIAlign of mmcv silently reads a non-contiguous map as a contiguous one."""
    (level,) = SimpleFeaturePyramid(16, 8, scales=(1,))([torch.randn(1, 16, 9, 7)])
    box = torch.tensor([[0, 1.0, 2.0, 5.0, 7.0]])
    found = mmcv_roi_align(level, box, (3, 3), 1.0, 2, 'avg', True)
    torch.testing.assert_close(found, roi_align(level.contiguous(), box, (3, 3), 1.0, 2, True))


def test_all_levels_and_parameters_have_gradients():
    neck = SimpleFeaturePyramid(16, 8)
    x = torch.randn(1, 16, 7, 5, requires_grad=True)
    weights = torch.linspace(-1, 1, 8)[:, None, None]
    for out in neck([x]):
        x.grad = None
        (out * weights).square().sum().backward(retain_graph=True)
        assert (x.grad.abs().sum(dim=1) > 0).all()
    assert all(p.grad.abs().sum() > 0 for p in neck.parameters())


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(scales=(3,)), 'scales must be a non-empty subset of'),
        (dict(scales=()), 'scales must be a non-empty subset of'),
        (dict(num_outs=2), 'num_outs must be at least the number of scales, 4, got 2'),
        (dict(num_outs=5.5), 'num_outs must be an int'),
        (dict(scales=2), 'scales must be a non-empty subset of'),
        (dict(in_channels=3), 'in_channels must be at least 4'),
        (dict(out_channels=0), 'out_channels must be an int of at least 1'),
    ],
)
def test_invalid_arguments_raise_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        SimpleFeaturePyramid(**{'in_channels': 16, 'out_channels': 8, **arguments})
