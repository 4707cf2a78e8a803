"""Checkpoints passed to the training and test tools on the command line."""

import json
import os

import pytest
import timm
import torch

from ..conftest import ROOT, run_tool, start_tool
from .runs import SEGMENTATION, options

pytestmark = pytest.mark.process

CONFIG = 'configs/upernet_swin_gab_nuclei.py'


def test_training_starts_from_timm_weights(nuclei, tmp_path):
    """A timm classifier, unfolded into Gaussians and remaining tables."""
    theirs = timm.create_model(
        'swin_tiny_patch4_window7_224', embed_dim=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)
    )
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    more = ('model.backbone.gab_cfg.init=fit', f'load_from={tmp_path / "timm.pth"}')
    output = run_tool(
        'tools/train.py', CONFIG, '--work-dir', tmp_path,
        *options(nuclei, SEGMENTATION, 'train_cfg.max_iters=1', 'train_cfg.val_interval=9', *more),
    )  # fmt: skip
    assert 'timm.pth (timm layout)' in output
    assert 'fitted: 4 x backbone.stages.*.blocks.*.attn.w_msa.gaussian.amplitude' in output
    assert output.count('split off: A ') == 4


class Touches:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_testing_checkpoint_with_pickle_code_requires_trust(nuclei, segmentor, tmp_path):
    victim, evil = tmp_path / 'victim', tmp_path / 'evil.pth'
    checkpoint = torch.load(segmentor / 'iter_3.pth', weights_only=False)
    torch.save(dict(checkpoint, extra=Touches(str(victim))), evil)
    words = ('tools/test.py', CONFIG, evil, '--work-dir', tmp_path)
    done = start_tool(*words, *options(nuclei, SEGMENTATION))
    assert done.returncode != 0
    assert 'evil.pth is rejected: it contains executable pickle code' in done.stdout
    assert not victim.exists()
    run_tool(*words, '--trust', *options(nuclei, SEGMENTATION))
    assert victim.exists()
    assert json.loads((tmp_path / 'results.json').read_text())['metrics']['mIoU'] > 0


@pytest.mark.parametrize('name', ['https://127.0.0.1:9/swin.pth', 'timm://no_such_model'])
def test_unreadable_init_cfg_checkpoint_stops_training(name, nuclei, tmp_path):
    done = start_tool(
        'tools/train.py', CONFIG, '--work-dir', tmp_path, *options(nuclei, SEGMENTATION),
        'model.backbone.init_cfg.type=Pretrained', f'model.backbone.init_cfg.checkpoint={name}',
    )  # fmt: skip
    assert done.returncode != 0
    assert name in done.stdout.splitlines()[-1]


def test_ema_hooks_load_weights_wrapped_by_other_projects(
    nuclei, segmentor, tested_segmentor, tmp_path
):
    config = tmp_path / 'averaged.py'
    config.write_text(
        f"_base_ = [r'{ROOT / CONFIG}']\ncustom_hooks = [dict(type='EMAHook', momentum=0.1)]\n"
    )
    tensors = torch.load(segmentor / 'iter_3.pth', weights_only=False)['state_dict']
    torch.save(dict(model=tensors), tmp_path / 'wrapped.pth')
    words = (config, tmp_path / 'wrapped.pth', '--work-dir', tmp_path)
    run_tool('tools/test.py', *words, *options(nuclei, SEGMENTATION))
    results = [json.loads((f / 'results.json').read_text()) for f in (tested_segmentor, tmp_path)]
    assert results[0]['metrics']['mIoU'] == results[1]['metrics']['mIoU'] > 0
