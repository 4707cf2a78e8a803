"""Export of a model in memory that stock projects load strictly."""

import pytest
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin
from mmpretrain.models.backbones import SwinTransformer as PretrainSwin
from mmseg.models.backbones.swin import SwinTransformer as SegSwin

from mmgab.checkpoints import as_stock_state_dict
from mmgab.models import SwinGAB

from .projects import OURS, PRETRAIN_ARCH, images, randomise


def pretrain_swin(window_size, use_abs_pos_embed=False, pretrain_img_size=224):
    return PretrainSwin(
        PRETRAIN_ARCH,
        img_size=pretrain_img_size,
        window_size=window_size,
        use_abs_pos_embed=use_abs_pos_embed,
        out_indices=(0, 1, 2, 3),
        pad_small_map=True,
    )


STOCK = {
    'mmdet': lambda **arguments: DetSwin(**OURS, **arguments),
    'mmseg': lambda **arguments: SegSwin(**OURS, **arguments),
    'mmpretrain': pretrain_swin,
}


def maps(model, size):
    model.train(False)
    with torch.no_grad():
        return model(images(size))


@pytest.mark.parametrize('is_folded', [True, False])
@pytest.mark.parametrize('window', [7, 4])
@pytest.mark.parametrize('project', STOCK)
def test_stock_swins_load_strictly_with_same_outputs(project, window, is_folded):
    ours = randomise(SwinGAB(**OURS, window_size=window, gab_cfg=dict(per_head=True)))
    expected = [maps(ours, size) for size in ((97, 131), (61, 90))]
    before = set(ours.fold_().state_dict()) if is_folded else set(ours.state_dict())
    theirs = STOCK[project](window_size=window)
    theirs.load_state_dict(ours.as_stock_state_dict(), strict=True)
    for size, ours_maps in zip(((97, 131), (61, 90)), expected, strict=True):
        for a, b in zip(maps(theirs, size), ours_maps, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert set(ours.state_dict()) == before


@pytest.mark.parametrize('project', STOCK)
def test_position_embeddings_and_baselines_are_exported(project):
    arguments = dict(window_size=7, use_abs_pos_embed=True, pretrain_img_size=96)
    ours = randomise(SwinGAB(**OURS, **arguments, gab_cfg=None))
    theirs = STOCK[project](**arguments)
    theirs.load_state_dict(as_stock_state_dict(ours), strict=True)
    for a, b in zip(maps(theirs, (96, 96)), maps(ours, (96, 96)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


class Detector(torch.nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.neck = torch.nn.Linear(4, 4)


@pytest.mark.parametrize('wrap', [lambda model: model, torch.compile, torch.nn.DataParallel])
def test_complete_detectors_are_exported_with_heads(wrap):
    ours = randomise(Detector(SwinGAB(**OURS)))
    theirs = Detector(DetSwin(**OURS))
    theirs.load_state_dict(as_stock_state_dict(wrap(ours)), strict=True)
    assert torch.equal(theirs.neck.weight, ours.neck.weight)
    for a, b in zip(maps(theirs.backbone, (61, 90)), maps(ours.backbone, (61, 90)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


OTHERS = {
    'gates': (dict(gpsa_cfg={}), r'mmdet does not support .*local\.position'),
    'gates in one stage': (dict(gpsa_cfg=dict(stages=(1,))), r'does not support .*local\.gate'),
    'broadcasting': (dict(cb_cfg=dict(type='CBS', stages=(0,))), r'does not support .*broadcast'),
    'windows': (dict(window_size=(3, 5)), 'mmdet supports only square windows; SwinGAB has'),
}


@pytest.mark.parametrize('case', OTHERS)
def test_tensors_unknown_to_stock_swins_are_rejected(case):
    arguments, message = OTHERS[case]
    with pytest.raises(ValueError, match=message):
        SwinGAB(**OURS, **arguments).as_stock_state_dict()
