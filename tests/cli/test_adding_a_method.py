"""The example of docs/adding_a_method.md, without changes of mmgab."""

import re
import sys

import pytest
import torch

from mmgab.checkpoints import Contents, fold, load, read_checkpoint
from mmgab.checkpoints.summary import summary
from mmgab.layers import methods
from mmgab.models import SwinGAB

from ..conftest import ROOT, run_tool
from .runs import SEGMENTATION, options

pytestmark = pytest.mark.process

PAGE = ROOT / 'docs' / 'adding_a_method.md'
SWIN = dict(embed_dims=16, num_heads=(1, 2, 4, 8), depths=(1, 1, 1, 1), gab_cfg=None)
ATTENTION = dict(type='distance_bias.DistanceWindowMSA', slope=0.7)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an importable folder with the file and the config of the page."""
    file, config, _ = re.findall(r'```python\n(.*?)```', PAGE.read_text(), flags=re.DOTALL)
    (tmp_path / 'distance_bias.py').write_text(file)
    base = f'{ROOT}/configs/upernet_swin_gab_nuclei.py'
    config = config.replace('mmgab::upernet_swin_gab_nuclei.py', base)
    (tmp_path / 'config.py').write_text(config)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(methods, 'METHODS', methods.METHODS)
    before = list(methods.METHODS)
    yield tmp_path
    methods.METHODS[:] = before
    sys.modules.pop('distance_bias', None)


def test_added_method_trains_loads_describes_and_folds(folder, nuclei):
    run_tool(
        'tools/train.py', folder / 'config.py', '--work-dir', folder / 'run',
        *options(nuclei, SEGMENTATION, 'train_cfg.max_iters=2',
                 'default_hooks.checkpoint.interval=2', 'train_cfg.val_interval=2'),
        env=dict(PYTHONPATH=str(folder)),
    )  # fmt: skip
    path = str(folder / 'run' / 'iter_2.pth')
    model = SwinGAB(**SWIN, attention=ATTENTION, window_size=7)
    report = load(model, path)
    assert not report.missing
    slopes = [p for name, p in model.named_parameters() if name.endswith('distance.slope')]
    assert len(slopes) == 4
    assert all((slope != 0.5).any() for slope in slopes)  # changed by training
    contents = Contents.of(read_checkpoint(path), path)
    assert sum(', slope 0.' in f', {line.rpartition("  ")[2]}' for line in summary(contents)) == 4

    stock = SwinGAB(**SWIN, window_size=7)
    stock.load_state_dict(fold(contents).swin, strict=True)
    x = torch.randn(1, 3, 61, 75)
    for a, b in zip(model.eval()(x), stock.eval()(x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_checkpoint_may_lack_the_method_but_not_parts_of_it(folder, tmp_path):
    model = SwinGAB(**SWIN, attention=ATTENTION)
    torch.save(SwinGAB(**SWIN).state_dict(), tmp_path / 'plain.pth')
    assert len(load(model, str(tmp_path / 'plain.pth')).missing) == 4
    half = model.state_dict()
    del half['stages.2.blocks.0.attn.w_msa.distance.slope']
    torch.save(half, tmp_path / 'half.pth')
    with pytest.raises(ValueError, match=r'distance\.slope'):
        load(model, str(tmp_path / 'half.pth'))


@pytest.mark.parametrize('kind', [dict(type='no_such_package.Attention'), dict(), 'distance'])
def test_unknown_attention_type_raises(kind):
    with pytest.raises((TypeError, ValueError), match='attention'):
        SwinGAB(**SWIN, attention=kind)
