import timm
import torch
from mmdet.models.backbones.swin import swin_converter

from mmgab.checkpoints.conversion import to_openmmlab
from mmgab.checkpoints.layouts import MICROSOFT

from .test_load import TIMM_SIZES, microsoft_names


def test_names_and_values_are_those_of_mmdets_converter():
    model = timm.create_model('swin_tiny_patch4_window7_224', **TIMM_SIZES)
    official = {
        name: torch.randn_like(tensor)
        for name, tensor in microsoft_names(model.state_dict()).items()
    }
    ours = to_openmmlab(official, MICROSOFT)
    theirs = {
        name.removeprefix('backbone.'): tensor for name, tensor in swin_converter(official).items()
    }
    assert {n for n in ours if not n.startswith('head')} == {*theirs} - {'norm.weight', 'norm.bias'} | {'norm3.weight', 'norm3.bias'}
    for name, tensor in theirs.items():
        name = name.replace('norm.', 'norm3.') if name.startswith('norm.') else name
        assert torch.equal(ours[name], tensor), name


def test_a_new_child_of_the_attention_is_not_renamed_by_accident():
    strange = {'layers.0.blocks.0.attn.gaussian.sigma': torch.ones(1)}
    assert to_openmmlab(strange, MICROSOFT) == strange
