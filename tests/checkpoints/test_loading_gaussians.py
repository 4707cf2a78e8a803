"""Loading into a SwinGAB from files without a Gaussian or with another one."""

import re

import pytest
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin
from mmengine.logging import MMLogger

from mmgab.checkpoints import load, load_whole_model
from mmgab.models import SwinGAB

from .loaded_models import Detector, assert_equal_maps, features, plain_torch, saved, stock_mmengine
from .projects import OURS as SIZES
from .projects import randomise


@pytest.mark.parametrize('per_head', [False, True])
@pytest.mark.parametrize('way', ['ours', 'torch', 'mmengine', 'whole'])
def test_gaussian_fitted_at_load_preserves_outputs(way, per_head, tmp_path):
    theirs = randomise(DetSwin(**SIZES))
    whole = Detector(gab_cfg=dict(init='fit', per_head=per_head))
    tensors = theirs.state_dict()
    if way == 'ours':
        report = load(whole.backbone, saved(tmp_path, theirs))
        assert report.missing == []
        assert len(report.fitted) == 16
        assert 'fitted: 8 x stages.*.blocks.*.attn.w_msa.gaussian.amplitude' in str(report)
    elif way == 'torch':
        plain_torch(whole.backbone, tensors)
    elif way == 'mmengine':
        stock_mmengine(whole, {f'backbone.{n}': t for n, t in tensors.items()}, tmp_path)
    else:
        load_whole_model(whole, tensors, 'swin.pth', strict=False)
    attention = whole.backbone.stages[1].blocks[0].attn.w_msa
    assert_equal_maps(features(whole.backbone.eval(), 97, 131), features(theirs, 97, 131))
    assert all(p.requires_grad for p in attention.gaussian.parameters())


def test_paper_init_adds_initial_gaussian_to_table(tmp_path):
    theirs = randomise(DetSwin(**SIZES))
    model = SwinGAB(**SIZES, gab_cfg=dict(init='paper'))
    load(model, saved(tmp_path, theirs))
    attention = model.stages[1].blocks[0].attn.w_msa
    table = theirs.stages[1].blocks[0].attn.w_msa.relative_position_bias_table
    assert torch.equal(attention.relative_position_bias_table, table)
    assert attention.gaussian.amplitude.tolist() == [1.0]
    assert attention.gaussian.sigma.tolist() == [5.0]


def test_trained_gaussian_is_not_refitted(tmp_path):
    trained = randomise(SwinGAB(**SIZES))
    model = SwinGAB(**SIZES, gab_cfg=dict(init='fit'))
    report = load(model, saved(tmp_path, trained))
    assert report.fitted == []
    assert all(torch.equal(t, trained.state_dict()[n]) for n, t in model.state_dict().items())


def test_fit_is_logged_for_every_layer(tmp_path):
    log = tmp_path / 'run.log'
    MMLogger.get_instance('test_fit', log_file=str(log))
    load(SwinGAB(**SIZES, gab_cfg=dict(init='fit')), saved(tmp_path, DetSwin(**SIZES)))
    lines = re.findall(
        r'stages\.\d\.blocks\.\d.*A \d+\.\d+ logits, sigma .* tokens, R\^2 0', log.read_text()
    )
    assert len(lines) == 8


def test_tensors_reported_as_missing_keep_their_values(tmp_path):
    """Load per-head Gaussians into a shared one, with init='fit'."""
    file = randomise(SwinGAB(**SIZES, gab_cfg=dict(per_head=True)))
    model = SwinGAB(**SIZES, gab_cfg=dict(init='fit'))
    report = load(model, saved(tmp_path, file), strict=False)
    attention = model.stages[3].blocks[0].attn.w_msa
    assert 'stages.3.blocks.0.attn.w_msa.gaussian.sigma' in report.missing
    assert attention.gaussian.sigma.tolist() == [5.0]
    table = file.stages[3].blocks[0].attn.w_msa.relative_position_bias_table
    assert torch.equal(attention.relative_position_bias_table, table)
