"""Windows where a map is no larger than one of them: as classifiers, and as detectors have it."""

import pytest
import timm
import torch
from mmpretrain.models import SwinTransformer

from mmgab.checkpoints import load
from mmgab.models import SwinGAB

SIZES = dict(embed_dims=16, depths=(1, 1, 2, 2), num_heads=(1, 2, 4, 8))


def swin(tensors=None, **arguments):
    """A plain Swin whose last map is returned."""
    torch.manual_seed(0)
    model = SwinGAB(out_indices=(3,), gab_cfg=None, **SIZES, **arguments).eval()
    for name, parameter in model.named_parameters():
        if 'table' in name:
            torch.nn.init.normal_(parameter)  # positions count
    model.load_state_dict(tensors or model.state_dict())
    return model


@pytest.fixture(scope='module')
def stock():
    torch.manual_seed(0)
    arch = dict(embed_dims=16, depths=[1, 1, 2, 2], num_heads=[1, 2, 4, 8])
    model = SwinTransformer(arch, img_size=224, out_indices=(3,))
    model.eval()  # of mmpretrain: returns nothing
    for name, parameter in model.named_parameters():
        if 'table' in name:
            torch.nn.init.normal_(parameter)
    return model


def difference(ours, theirs, size):
    images = torch.randn(1, 3, *size)
    with torch.no_grad():
        return (ours(images)[-1] - theirs(images)[-1]).abs().max()


def test_unshifted_last_stage_equals_mmpretrain_classifier(stock, tmp_path):
    torch.save(stock.state_dict(), tmp_path / 'stock.pth')
    classifier, detector = swin(shift_single_window=False), swin()
    for model in (classifier, detector):
        load(model, str(tmp_path / 'stock.pth'))
    assert difference(classifier, stock, (224, 224)) < 1e-5
    assert difference(detector, stock, (224, 224)) > 1e-2


def test_unshifted_last_stage_equals_timm_classifier(tmp_path):
    theirs = timm.create_model(
        'swin_tiny_patch4_window7_224', embed_dim=16, depths=(1, 1, 2, 2), num_heads=(1, 2, 4, 8)
    ).eval()
    for name, parameter in theirs.named_parameters():
        if 'table' in name:
            torch.nn.init.normal_(parameter)
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    ours = swin(shift_single_window=False)
    load(ours, str(tmp_path / 'timm.pth'))
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected = theirs.forward_features(images).permute(0, 3, 1, 2)
        torch.testing.assert_close(ours(images)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('size', [(64, 128), (128, 128), (96, 96), (50, 30)])
def test_sides_with_several_windows_are_shifted(size):
    """Only a side with several windows is shifted."""
    detector = swin(window_size=2)
    classifier = swin(detector.state_dict(), window_size=2, shift_single_window=False)
    has_single = min(-(-side // 32) for side in size) <= 2
    assert (difference(classifier, detector, size) > 1e-4) == has_single
    shifts = [block.attn._shift((2, 4)) for block in classifier.stages[3].blocks]
    assert shifts == [(0, 0), (0, 1)]


def test_single_windows_are_shifted_by_default():
    assert SwinGAB(**SIZES).stages[3].blocks[1].attn._shift((7, 7)) == (3, 3)
    with pytest.raises(ValueError, match='shift_single_window'):
        SwinGAB(**SIZES, shift_single_window='no')
