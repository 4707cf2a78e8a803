"""tools/deployment/export.py on trained models."""

import onnxruntime
import pytest
import torch

from ..conftest import run_tool
from .runs import call

pytestmark = pytest.mark.process

TOOL = 'tools/deployment/export.py'


def config(work_dir, name):
    return work_dir / f'{name}.py'


def test_exported_segmentor_runs_without_mmgab(segmentor, tmp_path):
    out = tmp_path / 'upernet.onnx'
    output = run_tool(
        TOOL, config(segmentor, 'upernet_swin_gab_nuclei'), segmentor / 'iter_3.pth',
        '--size', 96, 131, '--out', out,
    )  # fmt: skip
    assert 'images 1x3x96x131: largest difference' in output
    assert 'images 3x3x96x131: largest difference' in output
    assert [path.name for path in tmp_path.iterdir()] == ['upernet.onnx']
    session = onnxruntime.InferenceSession(out, providers=['CPUExecutionProvider'])
    (logits,) = session.run(None, {'images': torch.randn(4, 3, 96, 131).numpy()})
    assert logits.shape == (4, 2, 24, 33)  # a quarter of the image, rounded up


def test_detector_backbone_is_exported_with_folded_gaussian(
    detector, tmp_path, capsys, monkeypatch
):
    words = (
        config(detector, 'mask_rcnn_swin_gab_nuclei'), detector / 'epoch_1.pth',
        '--size', 64, 80, '--out', tmp_path / 'swin.pt2',
    )  # fmt: skip
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 0, output
    program = torch.export.load(tmp_path / 'swin.pt2')
    assert not [name for name in program.state_dict if 'gaussian' in name]
    assert len(program.module()(torch.randn(1, 3, 64, 80))) == 4


@pytest.mark.parametrize(
    ('words', 'complaint'),
    [
        (('--out', 'swin.txt'), "--out must end in one of ['.onnx', '.pt2'], got"),
        (('--out', 'missing/swin.pt2'), 'missing does not exist'),
        (('--out', 'swin.pt2', '--size', 3, 80), '--size must be at least the patch size (4, 4)'),
        (('--out', 'swin.pt2', '--size', 300, 80, '--open-size'), 'at least 225 pixels'),
        (('--out', 'swin.pt2', '--part', 'segmentor'), 'MaskRCNN is not a segmentor'),
        (
            (
                '--out',
                'swin.pt2',
                '--cfg-options',
                'model.backbone._delete_=True',
                'model.backbone.type=ResNet',
                'model.backbone.depth=18',
            ),
            'the backbone is ResNet, allowed are SwinGAB and ViTGAB',
        ),
    ],
)
def test_export_error_has_one_message_and_leaves_no_file(
    detector, tmp_path, capsys, monkeypatch, words, complaint
):
    name, checkpoint = config(detector, 'mask_rcnn_swin_gab_nuclei'), detector / 'epoch_1.pth'
    words = ('--out', tmp_path / words[1], *words[2:])
    code, output = call(TOOL, (name, checkpoint, *words), capsys, monkeypatch)
    assert code == 2
    assert complaint in output
    assert 'Traceback' not in output
    assert not list(tmp_path.iterdir())
