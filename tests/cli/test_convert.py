"""tools/model_converters/convert.py on the command line."""

import json
import os
import re

import pytest
import torch
from PIL import Image

from mmgab.checkpoints import read_checkpoint, write_checkpoint
from mmgab.models import SwinGAB

from ..checkpoints.projects import OURS, PROJECTS, images, randomise
from ..conftest import run_tool, start_tool
from .runs import call

pytestmark = pytest.mark.process

TOOL = 'tools/model_converters/convert.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('files')
    timm = randomise(PROJECTS['timm'].build())
    write_checkpoint(timm.state_dict(), folder / 'timm.safetensors')
    trained = randomise(SwinGAB(**OURS))
    write_checkpoint(dict(state_dict=trained.state_dict(), optimizer={}), folder / 'trained.pth')
    return folder


def maps(model):
    with torch.no_grad():
        return model.eval()(images((61, 90)))


def swingab_of(path, **options):
    model = SwinGAB(**OURS, **options)
    tensors = read_checkpoint(str(path))['state_dict']
    report = model.load_state_dict(tensors, strict=False)
    assert [n for n in report.unexpected_keys if not n.startswith('head')] == []
    return model


def test_inspect_prints_layout_variant_tables_and_hash(folder):
    output = run_tool(TOOL, 'inspect', folder / 'timm.safetensors')
    assert 'layout      timm' in output
    assert 'depth 8: 2-2-2-2' in output
    assert 'classifier  5 classes' in output
    assert re.search(r'sha256      [0-9a-f]{64}', output)
    assert len(re.findall(r'stages\.\d\.blocks\.\d +7x7 .*R\^2 \d\.\d', output)) == 8
    output = run_tool(TOOL, 'inspect', folder / 'trained.pth')
    assert len(re.findall(r'R\^2 \d\.\d+  A \d\.\d+, sigma', output)) == 8


def test_import_converts_classifier_to_openmmlab_layout(folder, tmp_path):
    output = run_tool(TOOL, 'import', folder / 'timm.safetensors', '-o', tmp_path / 'out.pth')
    assert 'Found a Swin in timm layout' in output
    tensors = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert {'backbone.norm3.weight', 'head.fc.weight'} <= set(tensors)
    stock = PROJECTS['mmpretrain'].build()
    stock.load_state_dict(
        {n.removeprefix('backbone.'): t for n, t in tensors.items() if n.startswith('backbone.')},
        strict=True,
    )


def test_unfold_and_fold_preserve_outputs_and_plot_tables(folder, tmp_path):
    plain, there, back = (tmp_path / f'{name}.pth' for name in ('plain', 'there', 'back'))
    run_tool(TOOL, 'fold', folder / 'trained.pth', '--to', 'mmdet', '-o', plain)
    output = run_tool(
        TOOL, 'unfold', plain, '-o', there, '--per-head', '--figure', tmp_path / 'unfold.png'
    )
    assert len(re.findall(r'stages\.\d\.blocks\.\d +A .* sigma .* R\^2', output)) == 8
    run_tool(TOOL, 'fold', there, '--to', 'mmseg', '-o', back, '--figure', tmp_path / 'fold.png')
    expected = maps(swingab_of(folder / 'trained.pth'))
    models = [
        swingab_of(plain, gab_cfg=None),
        swingab_of(there, gab_cfg=dict(per_head=True)),
        swingab_of(back, gab_cfg=None),
    ]
    for model in models:
        for a, b in zip(maps(model), expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    for figure in ('fold.png', 'unfold.png'):
        with Image.open(tmp_path / figure) as image:
            assert min(image.size) > 300


def test_tensors_without_target_are_reported(folder, tmp_path):
    output = run_tool(
        TOOL, 'fold', folder / 'trained.pth', '--to', 'timm', '-o', tmp_path / 'a.pth'
    )
    assert 'Not written, as the timm layout does not have them: norm0.weight' in output


def test_transformers_output_folder_has_config_json(folder, tmp_path):
    run_tool(TOOL, 'fold', folder / 'trained.pth', '--to', 'transformers', '-o', tmp_path / 'out')
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {'config.json', 'model.safetensors'}
    config = json.loads((tmp_path / 'out' / 'config.json').read_text())
    assert config['depths'] == [2, 2, 2, 2]
    assert config['num_heads'] == [2, 4, 8, 16]


def test_publish_removes_optimizer_state(folder, tmp_path):
    output = run_tool(TOOL, 'publish', folder / 'trained.pth', '-o', tmp_path / 'swin.pth')
    (path,) = tmp_path.glob('swin-????????.pth')
    assert str(path) in output
    assert set(torch.load(path, weights_only=True)) == {'state_dict'}


FAILURES = {
    'nothing to fold': (('fold', 'timm.safetensors', '--to', 'mmdet', '-o', 'x.pth'), 'nothing to'),
    'a Gaussian already': (('unfold', 'trained.pth', '-o', 'x.pth'), 'has a Gaussian already'),
    'no file': (('inspect', 'none.pth'), 'none.pth does not exist'),
    'its own input': (
        ('fold', 'trained.pth', '--to', 'mmdet', '-o', 'trained.pth', '--force'),
        'is an input file, which is never overwritten',
    ),
    'a file that is there': (
        ('fold', 'trained.pth', '--to', 'mmdet', '-o', 'timm.safetensors'),
        '--force to overwrite it',
    ),
    'another hash': (('inspect', 'trained.pth', '--sha256', '00000000'), 'its sha256 is'),
    'no such layout': (
        ('fold', 'trained.pth', '--to', 'keras', '-o', 'x.pth'),
        "invalid choice: 'keras'",
    ),
    'no such Swin': (
        ('inspect', 'trained.pth', '--prefix', 'student'),
        "none of them is 'stu",
    ),
    'no command': ((), 'COMMAND'),
}


@pytest.mark.parametrize('case', FAILURES)
def test_failed_conversion_prints_reason_and_exits_nonzero(case, folder, capsys, monkeypatch):
    words, message = FAILURES[case]
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    monkeypatch.chdir(folder)
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code != 0
    assert message in output
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_output_into_input_folder_is_rejected(folder, tmp_path, capsys, monkeypatch):
    saved = tmp_path / 'saved'
    run_tool(TOOL, 'fold', folder / 'trained.pth', '--to', 'transformers', '-o', saved)
    run_tool(TOOL, 'unfold', saved, '-o', tmp_path / 'there.pth')
    before = {p.name: p.read_bytes() for p in saved.iterdir()}
    words = ('import', saved, '-o', saved / 'config.json', '--force')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code != 0
    assert 'is an input file, which is never overwritten' in output
    assert {p.name: p.read_bytes() for p in saved.iterdir()} == before


def test_detector_with_compiled_backbone_folds(tmp_path, capsys, monkeypatch):
    head = torch.nn.Linear(2, 2)
    model = torch.nn.ModuleDict(dict(backbone=torch.compile(SwinGAB(**OURS)), roi_head=head))
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'compiled.pth')
    words = ('fold', tmp_path / 'compiled.pth', '--to', 'mmdet', '-o', tmp_path / 'out.pth')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 0, output
    assert 'left out' not in output
    tensors = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert torch.equal(tensors['roi_head.weight'], head.weight)
    assert 'backbone.norm3.weight' in tensors
    code, output = call(TOOL, ('inspect', tmp_path / 'compiled.pth'), capsys, monkeypatch)
    assert "openmmlab in 'backbone.'" in output


def test_half_precision_conversion_with_existing_figure(folder, tmp_path, capsys, monkeypatch):
    tensors = {n: t.bfloat16() for n, t in SwinGAB(**OURS).state_dict().items()}
    write_checkpoint(tensors, tmp_path / 'half.safetensors')
    (tmp_path / 'mine.png').write_bytes(b'mine')
    words = ['fold', tmp_path / 'half.safetensors', '--to', 'mmdet', '-o', tmp_path / 'out.pth']
    code, output = call(TOOL, [*words, '--figure', tmp_path / 'mine.png'], capsys, monkeypatch)
    assert code != 0
    assert 'mine.png exists' in output
    assert not (tmp_path / 'out.pth').exists()
    assert (tmp_path / 'mine.png').read_bytes() == b'mine'
    code, output = call(TOOL, [*words, '--figure', tmp_path / 'new.png'], capsys, monkeypatch)
    assert code == 0, output


class Touches:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_checkpoint_with_pickle_code_requires_trust(tmp_path):
    victim, path = tmp_path / 'victim', tmp_path / 'evil.pth'
    torch.save(dict(state_dict=SwinGAB(**OURS).state_dict(), x=Touches(str(victim))), path)
    done = start_tool(TOOL, 'inspect', path)
    assert done.returncode != 0
    assert 'would call or import posix.mkdir. Use a file that holds only tensors' in done.stdout
    assert not victim.exists()
    run_tool(TOOL, 'inspect', path, '--trust')
    assert victim.exists()


@pytest.mark.parametrize('command', ['inspect', 'import', 'fold', 'unfold', 'publish'])
def test_help_has_an_example(command, capsys, monkeypatch):
    code, output = call(TOOL, (command, '--help'), capsys, monkeypatch)
    assert code == 0
    assert f'Examples:\n  python {TOOL} {command} ' in output
    assert '--trust' in output
