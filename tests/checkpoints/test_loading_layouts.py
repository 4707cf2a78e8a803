"""Files of other projects, in every wrapper and with every loader."""

import re

import pytest
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmseg.models.backbones.swin import SwinTransformer as SegSwin

from mmgab.checkpoints import Contents, export, load, load_whole_model
from mmgab.models import SwinGAB

from .loaded_models import Detector, assert_equal_maps, features, plain_torch, stock_mmengine
from .projects import CLASSES, PROJECTS, images, randomise
from .projects import OURS as SIZES


@pytest.fixture
def microsoft_file(tmp_path):
    """A classifier in Microsoft's layout, as its releases wrap it."""
    swin = randomise(SwinGAB(**SIZES, out_indices=(3,), gab_cfg=None)).state_dict()
    swin['head.fc.weight'] = torch.randn(CLASSES, 128)
    checkpoint, _ = export(Contents.of(swin, 'x'), 'microsoft')
    path = tmp_path / 'swin_tiny_patch4_window7_224.pth'
    torch.save(checkpoint, path)
    return str(path)


def test_microsoft_layout_matches_mmdet_conversion(microsoft_file):
    """Except the last norm, which mmdet's conversion drops."""
    init_cfg = ConfigDict(type='Pretrained', checkpoint=microsoft_file)
    theirs = DetSwin(**SIZES, convert_weights=True, init_cfg=init_cfg)
    theirs.init_weights()
    theirs.train(False)
    ours = SwinGAB(**SIZES, gab_cfg=None, init_cfg=init_cfg).eval()
    ours.init_weights()
    theirs.norm3.load_state_dict(ours.norm3.state_dict())
    assert_equal_maps(features(ours, 97, 131), features(theirs, 97, 131))


def test_averaged_weights_take_precedence(tmp_path):
    averaged, plain = (randomise(SwinGAB(**SIZES), seed=seed).state_dict() for seed in (1, 2))
    torch.save(dict(state_dict=plain, state_dict_ema=averaged), tmp_path / 'both.pth')
    model = SwinGAB(**SIZES)
    load(model, str(tmp_path / 'both.pth'))
    assert torch.equal(model.norm3.weight, averaged['norm3.weight'])


def test_classifier_reports_missing_gaussian_and_output_norms(microsoft_file):
    model = SwinGAB(**SIZES)
    report = load(model, microsoft_file)
    assert report.layout == 'microsoft'
    assert report.total == len(model.state_dict())
    assert len(report.loaded) + len(report.missing) == report.total
    assert {re.sub(r'.*\.(?=gaussian)', '', name) for name in report.missing} == {
        'gaussian.amplitude', 'gaussian.sigma', 'norm0.weight', 'norm0.bias', 'norm1.weight',
        'norm1.bias', 'norm2.weight', 'norm2.bias',
    }  # fmt: skip
    line = str(report)
    assert '\n' not in line
    assert f'Loaded {len(report.loaded)} of {report.total} tensors from {microsoft_file}' in line
    assert '8 x stages.*.blocks.*.attn.w_msa.gaussian.sigma' in line
    assert 'unexpected keys (ignored): head.fc.weight' in line


def test_init_cfg_logs_the_report(microsoft_file, tmp_path):
    log = tmp_path / 'run.log'
    MMLogger.get_instance('test_init_cfg', log_file=str(log))
    init_cfg = dict(type='Pretrained', checkpoint=microsoft_file)
    SwinGAB(**SIZES, init_cfg=init_cfg).init_weights()
    assert re.search(r'Loaded \d+ of \d+ tensors from .*swin_tiny', log.read_text())


def test_init_cfg_accepts_only_arguments_of_load(microsoft_file):
    init_cfg = dict(type='Pretrained', checkpoint=microsoft_file)
    with pytest.raises(ValueError, match=r'its sha256 is [0-9a-f]{64}, wanted 00000000'):
        SwinGAB(**SIZES, init_cfg=dict(init_cfg, sha256='0' * 8)).init_weights()
    with pytest.raises(ValueError, match='where resizing is not allowed'):
        SwinGAB(**SIZES, window_size=8, init_cfg=dict(init_cfg, resize=False)).init_weights()
    with pytest.raises(ValueError, match="no key 'sha265'; did you mean 'sha256'"):
        SwinGAB(**SIZES, init_cfg=dict(init_cfg, sha265='0'))


WRAPPINGS = {
    'bare': lambda t: t,
    'state_dict': lambda t: dict(state_dict=t, meta=dict(epoch=3)),
    'model': lambda t: dict(model=t, optimizer={}),
    'ema': lambda t: dict(model_ema=t),
    'teacher and student': lambda t: dict(teacher=t, student={n: x * 0 for n, x in t.items()}),
    'compiled': lambda t: {f'_orig_mod.{n}': x for n, x in t.items()},
    'module': lambda t: {f'module.{n}': x for n, x in t.items()},
    'backbone': lambda t: dict(state_dict={f'backbone.{n}': x for n, x in t.items()}),
    'module and backbone': lambda t: {f'module.backbone.{n}': x for n, x in t.items()},
    'detector': lambda t: dict(
        state_dict={
            **{f'backbone.{n}': x for n, x in t.items()},
            'bbox_head.fc_cls.weight': torch.zeros(2, 2),
        }
    ),
    'teacher and student by name': lambda t: {
        **{f'student.backbone.{n}': x * 0 for n, x in t.items()},
        **{f'teacher.backbone.{n}': x for n, x in t.items()},
    },
    'somewhere else': lambda t: dict(state_dict={f'model.encoder.{n}': x for n, x in t.items()}),
}


@pytest.mark.parametrize('stock', [DetSwin, SegSwin])
@pytest.mark.parametrize('wrapping', WRAPPINGS)
def test_openmmlab_files_load_in_every_wrapping(stock, wrapping, tmp_path):
    theirs = randomise(stock(**SIZES))
    path = str(tmp_path / 'swin.pth')
    torch.save(WRAPPINGS[wrapping](dict(theirs.state_dict())), path)
    ours = SwinGAB(**SIZES, gab_cfg=None).eval()
    report = load(ours, path)
    assert report.missing == []
    assert report.layout == 'openmmlab'
    assert_equal_maps(features(ours, 61, 90), features(theirs, 61, 90))


def test_prefix_selects_one_of_several_swins(tmp_path):
    first, second = (randomise(SwinGAB(**SIZES), seed=seed).state_dict() for seed in (1, 2))
    tensors = {f'rgb.{n}': t for n, t in first.items()} | {
        f'depth.{n}': t for n, t in second.items()
    }
    torch.save(tensors, tmp_path / 'two.pth')
    model = SwinGAB(**SIZES)
    with pytest.raises(ValueError, match=r"two\.pth holds Swins under \['rgb\.', 'depth\.'\]"):
        load(model, str(tmp_path / 'two.pth'))
    for prefix in ('depth', 'depth.'):
        load(model, str(tmp_path / 'two.pth'), prefix=prefix)
        assert all(torch.equal(t, second[n]) for n, t in model.state_dict().items())
    with pytest.raises(ValueError, match=r"none of them is 'thermal\.'"):
        load(model, str(tmp_path / 'two.pth'), prefix='thermal')


@pytest.mark.parametrize('name', ['timm', 'torchvision'])
@pytest.mark.parametrize('way', ['torch', 'mmengine', 'whole', 'mmengine, whole', 'bare'])
def test_other_layouts_are_adapted_by_every_loader(name, way, tmp_path):
    theirs = randomise(PROJECTS[name].build())
    tensors = theirs.state_dict()
    inside = {f'backbone.{n}': t for n, t in tensors.items()}
    whole = Detector(gab_cfg=None)
    if way == 'torch':
        plain_torch(whole.backbone, tensors)
    elif way == 'mmengine':
        stock_mmengine(whole.backbone, tensors, tmp_path)
    elif way == 'mmengine, whole':
        stock_mmengine(whole, inside, tmp_path)
    else:
        file = inside if way == 'whole' else tensors
        report = load_whole_model(whole, file, 'swin.pth', strict=False)
        assert report.layout == name
    with torch.no_grad():
        x = images((448, 448))
        expected = PROJECTS[name].features(theirs, x)[-1]
        torch.testing.assert_close(whole.backbone.eval()(x)[-1], expected, atol=1e-5, rtol=1e-5)
