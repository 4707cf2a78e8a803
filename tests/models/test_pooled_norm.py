"""The classifiers of small sets beside timm's, which the paper's code trains."""

import copy

import mmpretrain.models  # noqa: F401  registers them
import pytest
import timm
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS

from mmgab.checkpoints import load_fc_norm, load_vit
from mmgab.engine import load_config
from mmgab.models import PooledNorm, ViTGAB

from ..conftest import ROOT

CONFIGS = ('vit_s_pets', 'vit_s_gab_caltech101')
SIZES = dict(embed_dim=48, depth=2, num_heads=2)


@pytest.fixture(scope='module')
def peer(tmp_path_factory):
    """A thin vit_relpos_small of timm, with weights as after training, and its file."""
    torch.manual_seed(0)
    model = timm.create_model('vit_relpos_small_patch16_224', num_classes=5, **SIZES).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp('peer') / 'vit.pth'
    torch.save(model.state_dict(), path)
    return model, str(path)


def classifier(name, file, leave_out=None):
    """The classifier of a config, thin, whose backbone and norm start from a file."""
    config = load_config(str(ROOT / 'configs' / f'{name}.py'))
    model = copy.deepcopy(config.model)
    model.backbone.update(embed_dims=48, depth=2, num_heads=2, out_indices=(1,))
    model.neck.in_channels = model.head.in_channels = 48
    model.head.num_classes = 5
    model.backbone.init_cfg = dict(type='Pretrained', checkpoint=file)
    if leave_out:
        model.backbone.init_cfg.leave_out = leave_out
    assert model.neck.init_cfg.pop('checkpoint') == 'timm://vit_relpos_small_patch16_224'
    model.neck.init_cfg.checkpoint = file
    model.data_preprocessor = config.data_preprocessor
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        built = MODELS.build(model)
        built.init_weights()
    return built.eval()


@pytest.mark.parametrize('name', CONFIGS)
def test_logits_equal_timm(peer, name):
    theirs, file = peer
    ours = classifier(name, file)
    ours.head.fc.load_state_dict(theirs.head.state_dict())
    if '_gab_' in name:
        for block in ours.backbone.blocks:
            torch.nn.init.zeros_(block.attn.gaussian.amplitude)
    images = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        expected, found = theirs(images), ours(images, mode='tensor')
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_norm_is_loaded_and_head_initialised_as_timm(peer):
    ours = classifier('vit_s_gab_pets', peer[1], leave_out=r'.*rel_pos\..*')
    torch.testing.assert_close(ours.neck.fc_norm.state_dict(), peer[0].fc_norm.state_dict())
    assert not any('norm' in name for name, _ in ours.backbone.norm.named_parameters())
    # Truncated normal of 0.02, no bias: what timm draws for a new number of classes.
    assert ours.head.fc.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert not ours.head.fc.bias.any()


def test_file_without_fc_norm_raises_error(tmp_path):
    model = timm.create_model('vit_tiny_patch16_224', depth=1, embed_dim=48, num_heads=2)
    torch.save(model.state_dict(), tmp_path / 'vit.pth')
    with pytest.raises(ValueError, match=r'has no fc_norm\.weight'):
        load_fc_norm(PooledNorm(48), str(tmp_path / 'vit.pth'))
    with pytest.raises(ValueError, match='in_channels'):
        PooledNorm(0)


def test_norm_of_another_width_raises_error(peer):
    with pytest.raises(ValueError, match='does not fit'):
        load_fc_norm(PooledNorm(32), peer[1])


def test_detector_backbone_loads_classifier_checkpoint(peer, tmp_path):
    """The final norm, which the classifier has after pooling, keeps its values."""
    torch.save(dict(state_dict=classifier('vit_s_gab_pets', peer[1]).state_dict()), tmp_path / 'c')
    backbone = ViTGAB(embed_dims=48, depth=2, num_heads=2, out_indices=(1,))
    report = load_vit(backbone, str(tmp_path / 'c'))
    assert report.missing == ['norm.weight', 'norm.bias']
    assert 'neck.fc_norm.weight' in report.unexpected
    norm = PooledNorm(48)
    assert len(load_fc_norm(norm, str(tmp_path / 'c')).loaded) == 2
    torch.testing.assert_close(norm.fc_norm.state_dict(), peer[0].fc_norm.state_dict())
