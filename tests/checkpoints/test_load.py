import re
from pathlib import Path

import pytest
import timm
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmseg.models.backbones.swin import SwinTransformer as SegSwin
from timm.models.swin_transformer import checkpoint_filter_fn

from mmgab.checkpoints import load, load_whole_model, read_checkpoint
from mmgab.models import SwinGAB

SIZES = dict(embed_dims=16, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16))
TIMM_SIZES = dict(embed_dim=16, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16))


def randomise(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.1)
    model.train(False)
    return model


def timm_swin(**kwargs):
    return randomise(timm.create_model('swin_tiny_patch4_window7_224', img_size=448, **kwargs))


def microsoft_names(timm_tensors):
    """Names of Microsoft's files: timm moved each merging to the stage behind it."""
    tensors = {}
    for name, tensor in timm_tensors.items():
        if match := re.match(r'layers\.(\d+)\.downsample\.(.*)', name):
            name = f'layers.{int(match[1]) - 1}.downsample.{match[2]}'
        tensors[name.replace('head.fc.', 'head.')] = tensor
    return tensors


@pytest.fixture
def microsoft_file(tmp_path):
    """A classifier in Microsoft's layout, as its releases wrap it."""
    path = tmp_path / 'swin_tiny_patch4_window7_224.pth'
    torch.save(dict(model=microsoft_names(timm_swin(**TIMM_SIZES).state_dict())), path)
    return str(path)


def features(model, height, width):
    torch.manual_seed(1)
    with torch.no_grad():
        return model(torch.randn(2, 3, height, width))


def test_microsofts_layout_gives_the_function_that_mmdets_own_conversion_gives(microsoft_file):
    init_cfg = ConfigDict(type='Pretrained', checkpoint=microsoft_file)
    theirs = DetSwin(**SIZES, convert_weights=True, init_cfg=init_cfg)
    theirs.init_weights()
    theirs.train(False)
    ours = SwinGAB(**SIZES, gab_cfg=None, init_cfg=init_cfg).eval()
    ours.init_weights()
    for a, b in zip(features(ours, 97, 131), features(theirs, 97, 131), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_microsofts_layout_gives_the_function_that_timm_reads_from_it(microsoft_file):
    """At 448, where every stage is whole windows: elsewhere timm rolls before it pads."""
    theirs = timm.create_model(
        'swin_tiny_patch4_window7_224', img_size=448, features_only=True, **TIMM_SIZES
    )
    official = torch.load(microsoft_file, weights_only=True)
    filtered = checkpoint_filter_fn(official, timm_swin(**TIMM_SIZES))
    layers = {re.sub(r'^layers\.', 'layers_', name): t for name, t in filtered.items()}
    missing, _ = theirs.load_state_dict(layers, strict=False)
    assert missing == []
    ours = SwinGAB(**SIZES, gab_cfg=None).eval()
    load(ours, microsoft_file)
    for a, b in zip(features(ours, 448, 448), features(theirs.eval(), 448, 448), strict=True):
        normed = torch.nn.functional.layer_norm(b, b.shape[-1:]).permute(0, 3, 1, 2)
        torch.testing.assert_close(a, normed, atol=1e-4, rtol=1e-4)


def test_a_classifier_leaves_out_the_gaussian_and_the_output_norms_and_says_so(microsoft_file):
    model = SwinGAB(**SIZES)
    report = load(model, microsoft_file)
    assert report.layout == 'microsoft'
    assert report.total == len(model.state_dict())
    assert len(report.loaded) + len(report.missing) == report.total
    assert {re.sub(r'.*\.(?=gaussian)|\d', '', name) for name in report.missing} == {
        'gaussian.amplitude', 'gaussian.sigma', 'norm.weight', 'norm.bias',
    }  # fmt: skip
    line = str(report)
    assert '\n' not in line
    assert f'Loaded {len(report.loaded)} of {report.total} tensors from {microsoft_file}' in line
    assert '8 x stages.*.blocks.*.attn.w_msa.gaussian.sigma' in line
    assert 'head.weight' in line


def test_init_cfg_logs_the_report(microsoft_file, tmp_path):
    log = tmp_path / 'run.log'
    MMLogger.get_instance('test_init_cfg', log_file=str(log))
    init_cfg = dict(type='Pretrained', checkpoint=microsoft_file)
    SwinGAB(**SIZES, init_cfg=init_cfg).init_weights()
    assert re.search(r'Loaded \d+ of \d+ tensors from .*swin_tiny', log.read_text())


@pytest.mark.parametrize('stock', [DetSwin, SegSwin])
@pytest.mark.parametrize('wrapper', ['bare', 'backbone', 'detector', 'module'])
def test_openmmlabs_files_load_in_every_wrapping(stock, wrapper, tmp_path):
    theirs = randomise(stock(**SIZES))
    tensors = theirs.state_dict()
    path = str(tmp_path / 'swin.pth')
    if wrapper == 'backbone':
        tensors = dict(state_dict=tensors, meta=dict(epoch=3))
    elif wrapper == 'detector':
        tensors = {f'backbone.{name}': tensor for name, tensor in tensors.items()}
        tensors = dict(state_dict={**tensors, 'bbox_head.fc_cls.weight': torch.zeros(2, 2)})
    elif wrapper == 'module':
        tensors = {f'module.{name}': tensor for name, tensor in tensors.items()}
    torch.save(tensors, path)
    ours = SwinGAB(**SIZES, gab_cfg=None).eval()
    report = load(ours, path)
    assert report.missing == []
    assert report.layout == 'openmmlab'
    for a, b in zip(features(ours, 97, 131), features(theirs, 97, 131), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_table_of_another_window_is_resized_and_named(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=7).state_dict(), tmp_path / 'swin.pth')
    report = load(SwinGAB(**SIZES, window_size=12), str(tmp_path / 'swin.pth'))
    assert len(report.resized) == 8
    assert 'resized: 8 x stages.*.blocks.*.attn.w_msa.relative_position_bias_table' in str(report)


def saved(tmp_path, model):
    path = str(tmp_path / 'other.pth')
    torch.save(model.state_dict() if isinstance(model, torch.nn.Module) else model, path)
    return path


REFUSED = {
    'depth': (
        lambda: SwinGAB(depths=(2, 2, 18, 2)),
        dict(depths=(2, 2, 6, 2)),
        ['Swin-S', '2-2-18-2', 'into Swin-T', '2-2-6-2'],
    ),
    'shallower': (
        lambda: SwinGAB(depths=(2, 2, 6, 2)),
        dict(depths=(2, 2, 18, 2)),
        ['Swin-T', 'into Swin-S', 'missing in the file', 'stages.2.blocks.6'],
    ),
    'width': (
        lambda: SwinGAB(embed_dims=48, depths=(2, 2, 2, 2)),
        dict(embed_dims=24, depths=(2, 2, 2, 2)),
        ['embed_dims 48', 'embed_dims 24', 'of another shape'],
    ),
    'heads': (
        lambda: SwinGAB(**{**SIZES, 'num_heads': (4, 8, 16, 32)}),
        SIZES,
        ['of another shape', 'relative_position_bias_table', '(169, 4) for (169, 2)'],
    ),
    'other window that is not square': (
        lambda: SwinGAB(**SIZES, window_size=(3, 5)),
        SIZES,
        ['of another shape', 'relative_position_bias_table'],
    ),
    'another architecture': (
        lambda: timm.create_model('resnet18'),
        SIZES,
        ['no Swin', 'conv1.weight'],
    ),
    'Gaussian into plain': (
        lambda: SwinGAB(**SIZES),
        dict(**SIZES, gab_cfg=None),
        ['without a place', 'gaussian'],
    ),
    'one tensor lost': (
        lambda: {
            name: tensor
            for name, tensor in SwinGAB(**SIZES).state_dict().items()
            if name != 'stages.1.blocks.0.attn.w_msa.qkv.weight'
        },
        SIZES,
        ['1 missing in the file (stages.1.blocks.0.attn.w_msa.qkv.weight)'],
    ),
    'position embedding that is no square': (
        lambda: {
            **SwinGAB(**SIZES, use_abs_pos_embed=True).state_dict(),
            'absolute_pos_embed': torch.zeros(1, 8 * 16, 16),
        },
        dict(**SIZES, use_abs_pos_embed=True, pretrain_img_size=64),
        ['of another shape (absolute_pos_embed (1, 128, 16) for (1, 256, 16))'],
    ),
    'names that are no names': (lambda: {1: torch.zeros(3)}, SIZES, ['no tensors by name']),
    'nothing in it': (lambda: dict(state_dict={}), SIZES, ['no tensors by name']),
    'a list': (lambda: [1, 2], SIZES, ['list']),
}


@pytest.mark.parametrize('case', REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason_and_nothing_is_loaded(case, tmp_path):
    make, arguments, words = REFUSED[case]
    path = saved(tmp_path, make())
    model = SwinGAB(**arguments)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=re.escape(path)) as caught:
        load(model, path)
    for word in words:
        assert word in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth does not exist'):
        SwinGAB(
            **SIZES, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'nowhere.pth'))
        ).init_weights()


@pytest.mark.parametrize('length', [0, 1, 100, 5000, 66000, 0.5, 0.99, 0.9999])
def test_a_truncated_file_is_named(length, tmp_path):
    path = saved(tmp_path, SwinGAB(**SIZES))
    content = Path(path).read_bytes()
    kept = int(length * len(content)) if isinstance(length, float) else length
    Path(path).write_bytes(content[:kept])
    with pytest.raises(ValueError, match=r'other\.pth cannot be read as a checkpoint.*truncated'):
        read_checkpoint(path)


@pytest.mark.parametrize('content', [b'not weights\n', b'hello world', bytes(range(256)) * 40])
def test_another_kind_of_file_is_no_checkpoint(content, tmp_path):
    path = tmp_path / 'notes.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'notes\.pth cannot be read'):
        read_checkpoint(str(path))


class WritesAFile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_checkpoint_that_carries_code_is_refused_and_the_code_does_not_run(tmp_path):
    path, victim = tmp_path / 'evil.pth', tmp_path / 'victim'
    torch.save(dict(state_dict=SwinGAB(**SIZES).state_dict(), meta=WritesAFile(victim)), path)
    with pytest.raises(ValueError, match=r'evil\.pth cannot be read.*more than data'):
        load(SwinGAB(**SIZES), str(path))
    assert not victim.exists()


def test_a_url_that_cannot_be_reached_is_named():
    # Port 9 of this machine, where nothing listens: refused at once.
    with pytest.raises(ConnectionError, match=r'127\.0\.0\.1:9/swin\.pth cannot be downloaded'):
        read_checkpoint('http://127.0.0.1:9/swin.pth')


class Detector(torch.nn.Module):
    def __init__(self, classes=3, **backbone):
        super().__init__()
        self.backbone = SwinGAB(**SIZES, **backbone)
        self.head = torch.nn.Linear(4, classes)


def test_a_whole_model_that_is_tested_must_fit_in_every_tensor():
    checkpoint = dict(state_dict=Detector(classes=5).state_dict())
    with pytest.raises(
        ValueError, match=r'a\.pth does not fit.*head\.weight \(5, 4\) for \(3, 4\)'
    ):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=True)
    report = load_whole_model(Detector(classes=5), checkpoint, 'a.pth', strict=True)
    assert len(report.loaded) == report.total


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


def test_a_start_of_training_with_nothing_in_common_is_refused():
    head = torch.nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r'a\.pth does not fit.*no tensor has a name in common'):
        load_whole_model(head, dict(other=torch.zeros(2)), 'a.pth', strict=False)


def test_a_backbone_inside_another_model_is_demanded_too():
    model = torch.nn.ModuleDict(dict(student=Detector()))
    with pytest.raises(ValueError, match='missing in the file'):
        load_whole_model(model, dict(other=torch.zeros(2)), 'a.pth', strict=False)
