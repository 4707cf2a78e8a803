"""ViTGAB as a graph: the same function, of images of one size."""

import pytest
import torch

from mmgab.deployment import OpenSizes, export_onnx, export_program, verify

from .small_vits import METHODS, stir, vit

EXPORTED = dict(
    METHODS['all of them'], rel_pos_cfg=dict(type='table'), window_size=4, global_blocks=(1,),
    use_abs_pos_embed=True, img_size=(64, 80),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize('suffix', ['.pt2', '.onnx'])
def test_exported_graph_equals_network_for_any_batch(suffix, tmp_path):
    model = stir(vit(**EXPORTED))
    export = dict(zip(('.pt2', '.onnx'), (export_program, export_onnx), strict=True))[suffix]
    run = export(model, torch.randn(2, 3, 61, 75), OpenSizes(False), tmp_path / f'vit{suffix}')
    verify(model, run, [(1, 3, 61, 75), (3, 3, 61, 75)], print)


def test_export_with_resized_table_raises_error(tmp_path):
    model = vit(rel_pos_cfg=dict(type='table'))
    with pytest.raises(
        ValueError, match=r'table for \(7, 5\) tokens cannot be resized to \(8, 9\)'
    ):
        export_program(model, torch.randn(2, 3, 64, 72), OpenSizes(False), tmp_path / 'vit.pt2')


def test_export_with_dynamic_sizes_raises_error(tmp_path):
    with pytest.raises(ValueError, match='does not support export with dynamic image sizes'):
        export_program(vit(), torch.randn(2, 3, 64, 72), OpenSizes(True, 57), tmp_path / 'vit.pt2')
