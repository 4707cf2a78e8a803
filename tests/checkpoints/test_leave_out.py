"""Loading with ``leave_out``: ignored keys keep their initial values."""

import re

import pytest
import torch
from mmengine.logging import MMLogger

from mmgab.checkpoints import load, load_vit
from mmgab.models import SwinGAB, ViTGAB

from .projects import OURS, PROJECTS, randomise

TABLES = r'.*relative_position_bias_table'
PROJ = r'stages\.0\.blocks\.0\.attn\.w_msa\.proj\..*'
VIT = dict(img_size=32, embed_dims=16, depth=2, num_heads=2, out_indices=(1,))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'swin.pth'
    torch.save(randomise(PROJECTS['timm'].build()).state_dict(), path)
    return str(path)


def copies(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize('leave_out', [TABLES, [TABLES], (TABLES, PROJ)])
def test_leave_out_keeps_values_and_is_reported(leave_out, file):
    model = SwinGAB(**OURS)
    before = copies(model)
    report = load(model, file, leave_out=leave_out)
    patterns = [leave_out] if isinstance(leave_out, str) else leave_out
    left = {n for n in before if any(re.fullmatch(pattern, n) for pattern in patterns)}
    assert len(left) == (10 if PROJ in patterns else 8)
    assert left <= set(report.missing)
    assert left <= set(report.unexpected)
    assert left.isdisjoint(report.loaded)
    assert f'{len(report.loaded)} of {len(before)}' in str(report)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name in report.missing), name


@pytest.mark.parametrize('init', ['paper', 'fit'])
def test_leave_out_of_tables_skips_the_gaussian_fit(init, file):
    """No table to fit: then the Gaussian starts as the paper's."""
    model = SwinGAB(**OURS, window_size=12, gab_cfg=dict(init=init))
    report = load(model, file, leave_out=TABLES)
    assert report.resized == []
    assert report.fitted == []
    assert {m.item() for n, m in model.named_parameters() if n.endswith('amplitude')} == {1.0}


def test_leave_out_in_init_cfg_is_logged(file, tmp_path):
    log = tmp_path / 'run.log'
    MMLogger.get_instance('test_leave_out', log_file=str(log))
    init_cfg = dict(type='Pretrained', checkpoint=file, leave_out=TABLES)
    model = SwinGAB(**OURS, init_cfg=init_cfg)
    table = model.stages[0].blocks[0].attn.w_msa.relative_position_bias_table.clone()
    model.init_weights()
    assert torch.equal(model.stages[0].blocks[0].attn.w_msa.relative_position_bias_table, table)
    assert re.search(r'keep their values\): .*8 x stages.*position_bias_table', log.read_text())


BAD = {
    'no such name': ('position_bias', "leave_out='position_bias' matches no tensor of"),
    'one of two': (['.*norm.*', 'tabel'], "leave_out='tabel' matches no tensor"),
    'no expression': ('(', r"leave_out='\(' is not a valid regular expression"),
}


@pytest.mark.parametrize('case', BAD)
def test_unmatched_leave_out_raises_and_loads_nothing(case, file, tmp_path):
    leave_out, message = BAD[case]
    torch.save(ViTGAB(**VIT).state_dict(), tmp_path / 'vit.pth')
    for model, source, loader in (
        (SwinGAB(**OURS), file, load),
        (ViTGAB(**VIT), str(tmp_path / 'vit.pth'), load_vit),
    ):
        before = copies(model)
        with pytest.raises(ValueError, match=message):
            loader(model, source, leave_out=leave_out)
        assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())


def test_leave_out_with_number_raises(file):
    with pytest.raises(TypeError, match='leave_out must be a string or a list of strings, got 3'):
        load(SwinGAB(**OURS), file, leave_out=[3])
