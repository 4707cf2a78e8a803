"""Conversion from and to every project, compared with its real model and strict loading."""

import mmpretrain.models
import mmpretrain.registry
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.backbones.swin import swin_converter
from mmengine.registry import DefaultScope

from mmgab.checkpoints import Contents, export, fold, load, write_checkpoint
from mmgab.checkpoints.conversion import from_openmmlab, to_openmmlab
from mmgab.checkpoints.layouts import LAYOUTS, MICROSOFT, TIMM
from mmgab.models import SwinGAB

from .projects import (
    CLASSES,
    OURS,
    PRETRAIN_ARCH,
    PROJECTS,
    PUBLISHED,
    assert_names_are_complete,
    images,
    randomise,
)


def ours_with(**gab_cfg):
    return randomise(SwinGAB(**OURS, gab_cfg=dict(per_head=True, **gab_cfg)))


def classifier_checkpoint(model):
    """A complete classifier, as mmpretrain saves it."""
    tensors = {f'backbone.{name}': tensor for name, tensor in model.state_dict().items()}
    tensors['head.fc.weight'] = torch.randn(CLASSES, model.num_features[-1])
    tensors['head.fc.bias'] = torch.randn(CLASSES)
    return dict(state_dict=tensors)


def assert_same_maps(ours, theirs):
    """The last maps agree, and all where both have a norm after each stage."""
    if len(theirs) == 1:
        ours = ours[-1:]
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', PROJECTS)
def test_project_file_gives_same_outputs_as_project(name, tmp_path):
    project = PROJECTS[name]
    theirs = randomise(project.build())
    path = tmp_path / 'swin.pth'
    torch.save(project.wrap(theirs.state_dict()), path)
    ours = SwinGAB(**OURS, gab_cfg=None).eval()
    report = load(ours, str(path))
    assert not [n for n in report.missing if not n.startswith(('norm0', 'norm1', 'norm2'))]
    for size in project.sizes:
        with torch.no_grad():
            assert_same_maps(ours(images(size)), project.features(theirs, images(size)))


@pytest.mark.parametrize('name', PROJECTS)
def test_folded_swingab_loads_strictly_with_same_outputs(name):
    project = PROJECTS[name]
    ours = ours_with()
    theirs = project.build()
    checkpoint = classifier_checkpoint(ours)
    if name in ('timm', 'torchvision'):
        checkpoint, left = export(fold(Contents.of(checkpoint, 'x')), name)
        assert {n.rpartition('.')[0] for n in left} == {'norm0', 'norm1', 'norm2'}
    else:
        checkpoint = dict(state_dict=ours.state_dict())
        if name == 'mmpretrain':  # a classifier's backbone there has the last norm alone
            for stage in range(3):
                del checkpoint['state_dict'][f'norm{stage}.weight']
                del checkpoint['state_dict'][f'norm{stage}.bias']
        checkpoint, left = export(fold(Contents.of(checkpoint, 'x')), name)
        assert left == []
    theirs.load_state_dict(checkpoint.get('state_dict', checkpoint), strict=True)
    theirs.train(False)
    for size in project.sizes:
        with torch.no_grad():
            assert_same_maps(ours(images(size)), project.features(theirs, images(size)))


@pytest.mark.parametrize('name', ['timm', 'torchvision'])
def test_folded_classifier_gives_same_scores(name):
    ours = ours_with()
    checkpoint = classifier_checkpoint(ours)
    weight, bias = (checkpoint['state_dict'][f'head.fc.{p}'] for p in ('weight', 'bias'))
    theirs = PROJECTS[name].build()
    theirs.load_state_dict(export(fold(Contents.of(checkpoint, 'x')), name)[0], strict=True)
    theirs.train(False)
    with torch.no_grad():
        expected = ours(images((448, 448)))[-1].mean(dim=(2, 3)) @ weight.T + bias
        scores = theirs(images((448, 448)))
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-5)


def test_folded_classifier_is_complete_for_mmpretrain():
    ours = ours_with()
    checkpoint = classifier_checkpoint(ours)
    for stage in range(3):  # which a classifier there has not
        for parameter in ('weight', 'bias'):
            del checkpoint['state_dict'][f'backbone.norm{stage}.{parameter}']
    backbone = dict(type='SwinTransformer', pad_small_map=True, arch=PRETRAIN_ARCH)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        theirs = mmpretrain.registry.MODELS.build(
            dict(
                type='ImageClassifier',
                backbone=backbone,
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=CLASSES, in_channels=128),
            )
        )
    folded, left = export(fold(Contents.of(checkpoint, 'x')), 'mmpretrain')
    assert left == []
    theirs.load_state_dict(folded['state_dict'], strict=True)
    theirs.train(False)
    weight, bias = (checkpoint['state_dict'][f'head.fc.{p}'] for p in ('weight', 'bias'))
    with torch.no_grad():
        expected = ours(images((97, 131)))[-1].mean(dim=(2, 3)) @ weight.T + bias
        scores = theirs(images((97, 131)))
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('name', PROJECTS)
def test_round_trip_preserves_every_tensor(name):
    project = PROJECTS[name]
    theirs = randomise(project.build()).state_dict()
    contents = Contents.of(project.wrap(theirs), 'x')
    back, left = export(contents, name)
    back = back.get('state_dict', back)
    assert left == []
    assert set(back) == set(theirs)
    for tensor_name, tensor in theirs.items():
        assert torch.equal(back[tensor_name], tensor), tensor_name


@pytest.mark.slow
@pytest.mark.parametrize('variant', PUBLISHED)
@pytest.mark.parametrize('name', PROJECTS)
def test_published_sizes_have_complete_names_and_shapes(name, variant):
    width, depths, heads, window = PUBLISHED[variant]
    # No memory, no values, but for OpenMMLab's, which ask for a value while they build.
    with torch.device('cpu' if name.startswith('mm') else 'meta'):
        theirs = PROJECTS[name].variant(width, depths, heads, window).state_dict()
    assert_names_are_complete(theirs, variant)


@pytest.mark.parametrize('layout', LAYOUTS, ids=lambda layout: layout.name)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_conversion_round_trip_for_any_swin(layout, data):
    stages = data.draw(st.integers(1, 4))
    depths = data.draw(st.lists(st.integers(1, 3), min_size=stages, max_size=stages))
    heads = data.draw(st.lists(st.integers(1, 4), min_size=stages, max_size=stages))
    width = 12
    heads = [h if (width * 2**i) % h == 0 else 1 for i, h in enumerate(heads)]
    window = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    bias = data.draw(st.booleans())
    model = SwinGAB(
        embed_dims=width,
        depths=depths,
        num_heads=heads,
        window_size=window,
        strides=(4, 2, 2, 2)[:stages],
        out_indices=tuple(range(stages)),
        qkv_bias=bias,
        gab_cfg=None,
    )
    tensors = {n: torch.randn_like(t) for n, t in model.state_dict().items()}
    there = from_openmmlab(tensors, layout)
    back = to_openmmlab(there, layout)
    kept = {n for n in tensors if n in back}
    assert {n for n in tensors if n not in kept} <= {
        f'norm{s}.{p}' for s in range(stages - 1) for p in ('weight', 'bias')
    }
    assert set(back) == kept
    assert all(torch.equal(back[n], tensors[n]) for n in kept)


def test_names_and_values_match_mmdet_converter():
    swin = randomise(SwinGAB(**OURS, gab_cfg=None)).state_dict()
    official = from_openmmlab(swin, MICROSOFT)
    theirs = swin_converter(official)
    for name, tensor in theirs.items():
        ours = name.removeprefix('backbone.').replace('norm.', 'norm3.', name.count('.') == 2)
        assert torch.equal(swin[ours], tensor), name
    assert len(theirs) == len(official)


def test_timm_filter_reads_microsoft_export():
    from timm.models.swin_transformer import checkpoint_filter_fn

    theirs = PROJECTS['timm'].build()
    checkpoint = classifier_checkpoint(randomise(SwinGAB(**OURS, gab_cfg=None)))
    for stage in range(3):
        for parameter in ('weight', 'bias'):
            del checkpoint['state_dict'][f'backbone.norm{stage}.{parameter}']
    official, _ = export(Contents.of(checkpoint, 'x'), 'microsoft')
    theirs.load_state_dict(checkpoint_filter_fn(official, theirs), strict=True)


def test_unknown_attention_child_is_not_renamed():
    strange = {'layers.0.blocks.0.attn.gaussian.sigma': torch.ones(1)}
    assert to_openmmlab(strange, MICROSOFT) == strange
    assert to_openmmlab(strange, TIMM) == strange


def test_timm_export_rejects_position_embedding():
    model = SwinGAB(**OURS, use_abs_pos_embed=True, pretrain_img_size=64, gab_cfg=None)
    contents = Contents.of(model.state_dict(), 'mine.pth')
    with pytest.raises(ValueError, match=r'timm does not support absolute_pos_embed of mine'):
        export(contents, 'timm')


def test_stock_export_rejects_gaussian():
    contents = Contents.of(SwinGAB(**OURS).state_dict(), 'mine.pth')
    with pytest.raises(ValueError, match=r'mmdet does not support .*gaussian\.amplitude'):
        export(contents, 'mmdet')


def test_non_square_windows_export_only_where_supported():
    model = SwinGAB(**OURS, window_size=(3, 5), gab_cfg=None)
    contents = Contents.of(model.state_dict(), 'mine.pth')
    with pytest.raises(
        ValueError, match=r'mmdet supports only square windows; mine\.pth has .*3, 5'
    ):
        export(contents, 'mmdet')
    theirs = PROJECTS['torchvision'].variant(16, (2, 2, 2, 2), (2, 4, 8, 16), 7)
    theirs = type(theirs)([4, 4], 16, [2, 2, 2, 2], [2, 4, 8, 16], [3, 5])
    theirs.head = torch.nn.Identity()
    theirs.load_state_dict(export(contents, 'torchvision')[0], strict=True)


def test_unknown_project_error_lists_allowed_projects():
    with pytest.raises(ValueError, match=r"unknown layout 'keras'; allowed are \['mmgab', 'mmdet'"):
        export(Contents.of(SwinGAB(**OURS).state_dict(), 'x'), 'keras')


def test_safetensors_file_loads(tmp_path):
    theirs = randomise(PROJECTS['timm'].build())
    write_checkpoint(theirs.state_dict(), tmp_path / 'swin.safetensors')
    ours = SwinGAB(**OURS, gab_cfg=None).eval()
    load(ours, str(tmp_path / 'swin.safetensors'))
    with torch.no_grad():
        x = images((448, 448))
        assert_same_maps(ours(x), PROJECTS['timm'].features(theirs, x))
