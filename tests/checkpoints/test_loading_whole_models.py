"""Detectors: what a start of training, a test and a resumed run demand of a file."""

import pytest
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin

from mmgab.checkpoints import Contents, export, load, load_whole_model
from mmgab.models import SwinGAB

from .loaded_models import Detector
from .projects import OURS as SIZES
from .projects import randomise


def test_a_bare_backbone_starts_a_whole_detector():
    theirs = randomise(DetSwin(**SIZES))
    model = Detector()
    report = load_whole_model(model, theirs.state_dict(), 'swin.pth', strict=False)
    assert torch.equal(model.backbone.norm3.weight, theirs.norm3.weight)
    assert {n.rpartition('.')[0] for n in report.missing} >= {'head'}


def test_a_detector_of_microsofts_repository_is_loaded_whole_and_strictly():
    source = Detector(gab_cfg=None)
    checkpoint, _ = export(Contents.of(source.state_dict(), 'x'), 'microsoft')
    assert 'backbone.layers.0.blocks.0.attn.qkv.weight' in checkpoint['state_dict']
    target = Detector(gab_cfg=None)
    report = load_whole_model(target, checkpoint, 'a.pth', strict=True)
    assert report.layout == 'microsoft detection'
    assert all(torch.equal(t, source.state_dict()[n]) for n, t in target.state_dict().items())


def test_a_whole_model_that_is_tested_must_fit_in_every_tensor():
    checkpoint = dict(state_dict=Detector(classes=5).state_dict())
    with pytest.raises(
        ValueError, match=r'a\.pth does not fit.*head\.weight \(5, 4\) for \(3, 4\)'
    ):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=True)
    report = load_whole_model(Detector(classes=5), checkpoint, 'a.pth', strict=True)
    assert len(report.loaded) == report.total


def test_a_plain_swin_is_not_tested_with_a_gaussian_that_it_never_had():
    checkpoint = dict(state_dict=Detector(gab_cfg=None).state_dict())
    with pytest.raises(ValueError, match=r'missing in the file \(8 x .*gaussian\.amplitude'):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=True)


def test_values_that_are_not_finite_are_refused_in_heads_too():
    checkpoint = dict(state_dict=Detector().state_dict())
    checkpoint['state_dict']['head.bias'][0] = float('inf')
    with pytest.raises(ValueError, match=r'1 with values that are not finite \(head\.bias\)'):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=False)


def test_a_start_of_training_keeps_a_new_head_and_demands_the_backbone():
    source, target = Detector(classes=5, gab_cfg=None), Detector()
    checkpoint = dict(state_dict=source.state_dict())
    head = target.head.weight.clone()
    report = load_whole_model(target, checkpoint, 'a.pth', strict=False)
    assert torch.equal(target.head.weight, head)
    assert torch.equal(target.backbone.norm0.weight, source.backbone.norm0.weight)
    assert 'head.weight' in report.missing
    del checkpoint['state_dict']['backbone.norm0.weight']
    with pytest.raises(ValueError, match=r'1 missing in the file \(backbone\.norm0\.weight\)'):
        load_whole_model(target, checkpoint, 'a.pth', strict=False)


@pytest.mark.parametrize('place', ['img_backbone', 'encoder'])
def test_a_backbone_of_any_name_is_demanded(place):
    def renamed(tensors):
        return {n.replace('backbone', place): t for n, t in tensors.items()}

    model = torch.nn.ModuleDict({place: SwinGAB(**SIZES), 'head': torch.nn.Linear(4, 3)})
    tensors = renamed(Detector().state_dict())
    assert len(load_whole_model(model, tensors, 'a.pth', strict=False).loaded) == len(tensors)
    for name in list(tensors):
        if 'qkv' in name:
            del tensors[name]
    with pytest.raises(ValueError, match=r'a\.pth'):
        load_whole_model(model, tensors, 'a.pth', strict=False)


def test_norms_of_stages_that_are_not_returned_are_left_out_of_a_start():
    model = Detector(out_indices=(1, 2, 3))
    report = load_whole_model(model, Detector().state_dict(), 'a.pth', strict=False)
    assert report.unexpected == ['backbone.norm0.weight', 'backbone.norm0.bias']
    assert report.missing == []


def test_what_is_left_out_of_a_larger_file_is_reported(tmp_path):
    detector = Detector().state_dict()
    tensors = {f'teacher.{n}': t for n, t in detector.items()}
    tensors |= {f'student.{n}': t for n, t in detector.items()}
    torch.save(tensors, tmp_path / 'two.pth')
    left = {f'student.{n}' for n in detector}
    report = load(SwinGAB(**SIZES), str(tmp_path / 'two.pth'))
    assert set(report.unexpected) == {'head.weight', 'head.bias', *left}
    report = load_whole_model(Detector(), tensors, 'two.pth', strict=False)
    assert set(report.unexpected) == left
    with pytest.raises(ValueError, match='without a place in the model'):
        load_whole_model(Detector(), tensors, 'two.pth', strict=True)


def test_a_model_inside_another_is_loaded_with_its_heads():
    source, target = Detector(), Detector()
    tensors = {f'model.{n}': t for n, t in source.state_dict().items()}
    load_whole_model(target, tensors, 'a.pth', strict=True)
    assert torch.equal(target.head.weight, source.head.weight)


def test_a_model_without_values_cannot_be_loaded():
    with torch.device('meta'):
        model = Detector()
    with pytest.raises(ValueError, match='without values, in the file or the model'):
        load_whole_model(model, Detector().state_dict(), 'a.pth', strict=True)


def test_a_start_of_training_with_nothing_in_common_is_refused():
    head = torch.nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r'a\.pth does not fit.*no tensor has a name in common'):
        load_whole_model(head, dict(other=torch.zeros(2)), 'a.pth', strict=False)


def test_a_backbone_inside_another_model_is_demanded_too():
    model = torch.nn.ModuleDict(dict(student=Detector()))
    with pytest.raises(ValueError, match='missing in the file'):
        load_whole_model(model, dict(other=torch.zeros(2)), 'a.pth', strict=False)
