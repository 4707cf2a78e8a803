"""Graphs of a small backbone; whole segmentors are exported in tests/tools/test_export.py."""

import sys

import pytest
import torch

from mmgab.deployment import ExportError, OpenSizes, export_onnx, export_program, verify
from mmgab.models import SwinGAB

pytestmark = pytest.mark.slow

SMALL = dict(embed_dims=8, depths=(1, 2), num_heads=(2, 2), window_size=4, out_indices=(0, 1))


@pytest.fixture(scope='module')
def swin():
    torch.manual_seed(0)
    return SwinGAB(**SMALL).eval().requires_grad_(False)


def test_a_program_serves_any_batch_and_any_size(swin, tmp_path):
    run = export_program(
        swin, torch.randn(2, 3, 64, 72), OpenSizes(True, 33), tmp_path / 'swin.pt2'
    )
    lines = []
    shapes = [(1, 3, 64, 72), (3, 3, 64, 72), (2, 3, 97, 131), (1, 3, 33, 200)]
    assert verify(swin, run, shapes, lines.append) < 1e-5
    assert len(lines) == len(shapes)


def test_a_graph_traced_with_two_images_serves_one_and_three(swin, tmp_path):
    images = torch.randn(2, 3, 45, 70)
    run = export_onnx(swin, images, OpenSizes(False), tmp_path / 'swin.onnx')
    assert verify(swin, run, [(1, 3, 45, 70), (3, 3, 45, 70)], print) < 1e-5


def test_verify_detects_a_wrong_batch(swin):
    def forgets_the_second_image(images):
        return [out[:1].expand_as(out) for out in swin(images)]

    assert verify(swin, forgets_the_second_image, [(1, 3, 32, 32)], print) == 0
    with pytest.raises(ExportError, match=r'\(2, 3, 32, 32\): the graph differs'):
        verify(swin, forgets_the_second_image, [(2, 3, 32, 32)], print)


def test_verify_detects_nan(swin):
    def broken(images):
        return [out * float('nan') for out in swin(images)]

    with pytest.raises(ExportError, match='nan'):
        verify(swin, broken, [(1, 3, 32, 32)], print)


@pytest.mark.parametrize('name', ['onnxruntime', 'onnxscript'])
def test_missing_library_error_says_how_to_install_it(swin, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ExportError, match=rf'{name}, which is not installed.*requirements/deployment.txt'
    ):
        export_onnx(swin, torch.randn(2, 3, 32, 32), OpenSizes(False), tmp_path / 'swin.onnx')
