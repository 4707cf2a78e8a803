"""Loading detectors for finetuning, testing and resuming."""

import pytest
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin

from mmgab.checkpoints import Contents, export, load, load_whole_model
from mmgab.models import SwinGAB

from .loaded_models import Detector
from .projects import OURS as SIZES
from .projects import randomise


def test_backbone_file_initializes_detector():
    theirs = randomise(DetSwin(**SIZES))
    model = Detector()
    report = load_whole_model(model, theirs.state_dict(), 'swin.pth', strict=False)
    assert torch.equal(model.backbone.norm3.weight, theirs.norm3.weight)
    assert {n.rpartition('.')[0] for n in report.missing} >= {'head'}


def test_microsoft_detector_loads_strictly():
    source = Detector(gab_cfg=None)
    checkpoint, _ = export(Contents.of(source.state_dict(), 'x'), 'microsoft')
    assert 'backbone.layers.0.blocks.0.attn.qkv.weight' in checkpoint['state_dict']
    target = Detector(gab_cfg=None)
    report = load_whole_model(target, checkpoint, 'a.pth', strict=True)
    assert report.layout == 'microsoft detection'
    assert all(torch.equal(t, source.state_dict()[n]) for n, t in target.state_dict().items())


def test_tested_model_must_match_in_every_tensor():
    checkpoint = dict(state_dict=Detector(classes=5).state_dict())
    with pytest.raises(
        ValueError, match=r'a\.pth does not fit.*head\.weight \(5, 4\) for \(3, 4\)'
    ):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=True)
    report = load_whole_model(Detector(classes=5), checkpoint, 'a.pth', strict=True)
    assert len(report.loaded) == report.total


def test_testing_swingab_rejects_baseline_file():
    checkpoint = dict(state_dict=Detector(gab_cfg=None).state_dict())
    with pytest.raises(ValueError, match=r'missing key\(s\) \(8 x .*gaussian\.amplitude'):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=True)


def test_non_finite_values_in_heads_are_rejected():
    checkpoint = dict(state_dict=Detector().state_dict())
    checkpoint['state_dict']['head.bias'][0] = float('inf')
    with pytest.raises(ValueError, match=r'1 with values that are not finite \(head\.bias\)'):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=False)


def test_finetuning_keeps_new_head_and_requires_backbone():
    source, target = Detector(classes=5, gab_cfg=None), Detector()
    checkpoint = dict(state_dict=source.state_dict())
    head = target.head.weight.clone()
    report = load_whole_model(target, checkpoint, 'a.pth', strict=False)
    assert torch.equal(target.head.weight, head)
    assert torch.equal(target.backbone.norm0.weight, source.backbone.norm0.weight)
    assert 'head.weight' in report.missing
    del checkpoint['state_dict']['backbone.norm0.weight']
    with pytest.raises(ValueError, match=r'1 missing key\(s\) \(backbone\.norm0\.weight\)'):
        load_whole_model(target, checkpoint, 'a.pth', strict=False)


@pytest.mark.parametrize('place', ['img_backbone', 'encoder'])
def test_backbone_with_any_name_is_required(place):
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


def test_finetuning_ignores_norms_of_unused_stages():
    model = Detector(out_indices=(1, 2, 3))
    report = load_whole_model(model, Detector().state_dict(), 'a.pth', strict=False)
    assert report.unexpected == ['backbone.norm0.weight', 'backbone.norm0.bias']
    assert report.missing == []


def test_ignored_keys_of_larger_file_are_reported(tmp_path):
    detector = Detector().state_dict()
    tensors = {f'teacher.{n}': t for n, t in detector.items()}
    tensors |= {f'student.{n}': t for n, t in detector.items()}
    torch.save(tensors, tmp_path / 'two.pth')
    left = {f'student.{n}' for n in detector}
    report = load(SwinGAB(**SIZES), str(tmp_path / 'two.pth'))
    assert set(report.unexpected) == {'head.weight', 'head.bias', *left}
    report = load_whole_model(Detector(), tensors, 'two.pth', strict=False)
    assert set(report.unexpected) == left
    with pytest.raises(ValueError, match=r'unexpected key\(s\)'):
        load_whole_model(Detector(), tensors, 'two.pth', strict=True)


def test_nested_model_is_loaded_with_its_heads():
    source, target = Detector(), Detector()
    tensors = {f'model.{n}': t for n, t in source.state_dict().items()}
    load_whole_model(target, tensors, 'a.pth', strict=True)
    assert torch.equal(target.head.weight, source.head.weight)


def test_model_on_meta_device_is_rejected():
    with torch.device('meta'):
        model = Detector()
    with pytest.raises(ValueError, match='without values, in the file or the model'):
        load_whole_model(model, Detector().state_dict(), 'a.pth', strict=True)


def test_finetuning_without_common_keys_is_rejected():
    head = torch.nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r'a\.pth does not fit.*no key in common'):
        load_whole_model(head, dict(other=torch.zeros(2)), 'a.pth', strict=False)


def test_nested_backbone_is_required():
    model = torch.nn.ModuleDict(dict(student=Detector()))
    with pytest.raises(ValueError, match=r'missing key\(s\)'):
        load_whole_model(model, dict(other=torch.zeros(2)), 'a.pth', strict=False)
