"""Mismatched files raise an error with the reason, and nothing is loaded."""

import re

import pytest
import timm
import torch

from mmgab.checkpoints import load
from mmgab.checkpoints.conversion import from_openmmlab
from mmgab.checkpoints.layouts import MICROSOFT, TRANSFORMERS_BACKBONE
from mmgab.models import SwinGAB

from .loaded_models import saved
from .projects import OURS as SIZES
from .projects import randomise


def without_metadata(model):
    return dict(model.state_dict())


def with_nan():
    tensors = SwinGAB(**SIZES).state_dict()
    tensors['stages.1.blocks.0.norm1.weight'][3] = float('nan')
    return tensors


def two_layouts():
    tensors = dict(SwinGAB(**SIZES, gab_cfg=None).state_dict())
    return {**tensors, **from_openmmlab(tensors, MICROSOFT)}


def the_same_twice():
    tensors = SwinGAB(**SIZES, gab_cfg=None).state_dict()
    tensors = from_openmmlab(tensors, TRANSFORMERS_BACKBONE)
    return {**tensors, **{f'swin.{n}': t for n, t in tensors.items() if 'blocks.0' in n}}


def without(model, ending):
    return {n: t for n, t in model.state_dict().items() if not n.endswith(ending)}


REFUSED = {
    'two layouts in one': (two_layouts, SIZES, ['unexpected key(s)', 'layers.*.blocks']),
    'the same twice': (the_same_twice, SIZES, ['swin.encoder', 'both map to stages.0.blocks.0']),
    'all sigmas lost': (
        lambda: without(SwinGAB(**SIZES), 'gaussian.sigma'),
        SIZES,
        ['8 missing key(s) (8 x stages.*.blocks.*.attn.w_msa.gaussian.sigma)'],
    ),
    'no norm at all': (
        lambda: without(
            SwinGAB(**SIZES), tuple(f'norm{i}.{p}' for i in range(4) for p in ('weight', 'bias'))
        ),
        SIZES,
        ['norm3.weight, norm3.bias'],
    ),
    'eight-bit weights': (
        lambda: {n: t.to(torch.int8) for n, t in SwinGAB(**SIZES).state_dict().items()},
        SIZES,
        ['of another dtype', 'torch.int8 for torch.float32'],
    ),
    'depth': (
        lambda: SwinGAB(depths=(2, 2, 18, 2)),
        dict(depths=(2, 2, 6, 2)),
        ['holds Swin-S', '2-2-18-2', 'model is Swin-T', '2-2-6-2'],
    ),
    'shallower': (
        lambda: SwinGAB(depths=(2, 2, 6, 2)),
        dict(depths=(2, 2, 18, 2)),
        [
            'holds Swin-T',
            'model is Swin-S',
            'missing key(s)',
            '12 x stages.*.blocks.*.norm1.weight',
        ],
    ),
    'width': (
        lambda: SwinGAB(embed_dims=48, depths=(2, 2, 2, 2)),
        dict(embed_dims=24, depths=(2, 2, 2, 2)),
        ['embed_dims 48', 'embed_dims 24', 'of another shape'],
    ),
    'heads': (
        lambda: SwinGAB(**{**SIZES, 'num_heads': (4, 8, 16, 32)}),
        SIZES,
        ['of another shape', 'relative_position_bias_table', '(169, 4) for (169, 2)'],
    ),
    'a window that cannot be told': (
        lambda: without_metadata(SwinGAB(**SIZES, window_size=(3, 5))),
        SIZES,
        ['of another shape', 'relative_position_bias_table'],
    ),
    'another architecture': (
        lambda: timm.create_model('resnet18'),
        SIZES,
        ['no Swin', 'conv1.weight'],
    ),
    'Swin V2': (
        lambda: timm.create_model('swinv2_tiny_window8_256', embed_dim=24, depths=(2, 2, 2, 2)),
        SIZES,
        ['holds a Swin V2, which is not supported'],
    ),
    'Gaussian into plain': (
        lambda: SwinGAB(**SIZES),
        dict(**SIZES, gab_cfg=None),
        ['unexpected key(s)', 'gaussian'],
    ),
    'one tensor lost': (
        lambda: {
            name: tensor
            for name, tensor in SwinGAB(**SIZES).state_dict().items()
            if name != 'stages.1.blocks.0.attn.w_msa.qkv.weight'
        },
        SIZES,
        ['1 missing key(s) (stages.1.blocks.0.attn.w_msa.qkv.weight)'],
    ),
    'a part of a query, key and value lost': (
        lambda: {
            name: tensor
            for name, tensor in from_openmmlab(
                SwinGAB(**SIZES, gab_cfg=None).state_dict(), TRANSFORMERS_BACKBONE
            ).items()
            if name != 'encoder.layers.1.blocks.0.attention.self.key.weight'
        },
        SIZES,
        ['1 missing key(s) (stages.1.blocks.0.attn.w_msa.qkv.weight)'],
    ),
    'position embedding that is no square': (
        lambda: {
            **SwinGAB(**SIZES, use_abs_pos_embed=True).state_dict(),
            'absolute_pos_embed': torch.zeros(1, 8 * 16, 16),
        },
        dict(**SIZES, use_abs_pos_embed=True, pretrain_img_size=64),
        ['of another shape (absolute_pos_embed (1, 128, 16) for (1, 256, 16))'],
    ),
    'not finite': (
        with_nan,
        SIZES,
        ['1 with values that are not finite (stages.1.blocks.0.norm1.weight)'],
    ),
    'names that are no names': (lambda: {1: torch.zeros(3)}, SIZES, ['no tensors by name']),
    'nothing in it': (lambda: dict(state_dict={}), SIZES, ['no tensors by name']),
    'a list': (lambda: [1, 2], SIZES, ['list']),
}


@pytest.mark.parametrize('case', REFUSED)
def test_mismatched_file_is_rejected_and_nothing_is_loaded(case, tmp_path):
    make, arguments, words = REFUSED[case]
    path = saved(tmp_path, make())
    model = SwinGAB(**arguments)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=re.escape(path)) as caught:
        load(model, path)
    for word in words:
        assert word in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_non_strict_load_reports_mismatched_keys(tmp_path):
    source = randomise(SwinGAB(**{**SIZES, 'num_heads': (4, 8, 16, 32)}))
    model = SwinGAB(**SIZES)
    report = load(model, saved(tmp_path, source), strict=False)
    assert torch.equal(model.norm3.weight, source.norm3.weight)
    tables = [n for n in model.state_dict() if n.endswith('table')]
    assert sorted(report.missing) == sorted(tables)
    assert sorted(report.unexpected) == sorted(tables)
