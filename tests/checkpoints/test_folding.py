import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.models.backbones.swin import SwinTransformer as DetSwin

from mmgab.checkpoints import Contents, export, fold, load_whole_model, unfold
from mmgab.models import SwinGAB

from .projects import OURS, images, randomise


def outputs(model, size=(61, 90)):
    with torch.no_grad():
        return model.eval()(images(size))


def assert_same_function(a, b):
    for ours, theirs in zip(outputs(a), outputs(b), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@st.composite
def swins(draw, **options):
    stages = draw(st.integers(1, 3))
    return dict(
        embed_dims=12,
        depths=draw(st.lists(st.integers(1, 3), min_size=stages, max_size=stages)),
        num_heads=draw(st.lists(st.sampled_from([1, 2, 3]), min_size=stages, max_size=stages)),
        strides=(4, 2, 2)[:stages],
        out_indices=tuple(range(stages)),
        window_size=draw(st.tuples(st.integers(1, 5), st.integers(1, 5))),
        **options,
    )


@given(swins(), st.booleans())
@settings(max_examples=15, deadline=None)
def test_folding_preserves_outputs_for_any_swin(arguments, per_head):
    model = randomise(SwinGAB(**arguments, gab_cfg=dict(per_head=per_head)))
    folded = fold(Contents.of(model.state_dict(), 'x')).swin
    plain = SwinGAB(**arguments, gab_cfg=None)
    plain.load_state_dict(folded, strict=True)
    assert_same_function(plain, model)


@given(swins(), st.booleans())
@settings(max_examples=15, deadline=None)
def test_unfolding_preserves_outputs_for_any_swin(arguments, per_head):
    plain = randomise(SwinGAB(**arguments, gab_cfg=None))
    unfolded, splits = unfold(Contents.of(plain.state_dict(), 'x'), per_head)
    assert len(splits) == sum(arguments['depths'])
    model = SwinGAB(**arguments, gab_cfg=dict(per_head=per_head))
    model.load_state_dict(unfolded.swin, strict=True)
    assert_same_function(plain, model)
    assert all((split.amplitude > 0).all() for split in splits.values())


def test_folding_inverts_unfolding():
    plain = randomise(SwinGAB(**OURS, gab_cfg=None)).state_dict()
    back = fold(unfold(Contents.of(plain, 'x'))[0]).swin
    assert set(back) == set(plain)
    for name, tensor in plain.items():
        torch.testing.assert_close(back[name], tensor, atol=1e-6, rtol=1e-6)


def test_model_folded_in_memory_matches_folded_checkpoint():
    model = randomise(SwinGAB(**OURS))
    expected = fold(Contents.of(model.state_dict(), 'x')).swin
    before = outputs(model)
    assert model.fold_() is model
    assert set(model.state_dict()) == set(expected)
    assert all(torch.equal(t, expected[n]) for n, t in model.state_dict().items())
    for a, b in zip(outputs(model), before, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    stock = DetSwin(**OURS)
    stock.load_state_dict(export(Contents.of(model.state_dict(), 'x'), 'mmdet')[0]['state_dict'])


def test_model_folded_in_memory_trains():
    model = SwinGAB(**OURS).fold_().train()
    model(images((61, 90)))[-1].sum().backward()
    assert model.stages[0].blocks[0].attn.w_msa.relative_position_bias_table.grad is not None


def test_folding_twice_raises():
    once = fold(Contents.of(SwinGAB(**OURS).state_dict(), 'mine.pth'))
    with pytest.raises(ValueError, match=r'mine\.pth has nothing to fold.*folded already'):
        fold(once)
    model = SwinGAB(**OURS).fold_()
    with pytest.raises(ValueError, match=r'nothing to fold.*folded already'):
        model.fold_()
    with pytest.raises(ValueError, match='nothing to fold'):
        SwinGAB(**OURS, gab_cfg=None).fold_()


def test_unfolding_with_gaussian_raises():
    with pytest.raises(ValueError, match=r'mine\.pth has a Gaussian already: fold it first'):
        unfold(Contents.of(SwinGAB(**OURS).state_dict(), 'mine.pth'))


def test_amplitude_without_sigma_is_rejected():
    tensors = SwinGAB(**OURS).state_dict()
    del tensors['stages.2.blocks.1.attn.w_msa.gaussian.sigma']
    with pytest.raises(ValueError, match=r'stages\.2\.blocks\.1.*one of .* without the other'):
        fold(Contents.of(tensors, 'mine.pth'))


def test_input_checkpoint_is_unmodified():
    tensors = SwinGAB(**OURS).state_dict()
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    fold(Contents.of(tensors, 'x'))
    assert set(tensors) == set(before)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_checkpoint_keeps_outputs(dtype):
    """Tables become float32; other tensors keep their dtype."""
    model = randomise(SwinGAB(**OURS, gab_cfg=dict(per_head=True)))
    halved = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
    model.load_state_dict(halved)
    folded = fold(Contents.of(halved, 'x'))
    plain = SwinGAB(**OURS, gab_cfg=None)
    plain.load_state_dict(folded.swin)
    assert_same_function(plain, model)
    types = {tensor.dtype for name, tensor in folded.swin.items() if not name.endswith('table')}
    assert types == {dtype}
    only_tables_halved = {n: t.to(dtype) for n, t in folded.swin.items()}
    plain.load_state_dict(only_tables_halved)
    unfolded, _ = unfold(Contents.of(only_tables_halved, 'x'), per_head=True)
    model.load_state_dict(unfolded.swin)
    assert_same_function(plain, model)


def test_gaussian_missing_in_some_layers_is_rejected():
    tensors = SwinGAB(**OURS).state_dict()
    for parameter in ('amplitude', 'sigma'):
        del tensors[f'stages.2.blocks.1.attn.w_msa.gaussian.{parameter}']
    with pytest.raises(ValueError, match=r'mine\.pth is incomplete: .*stages\.2\.blocks\.1'):
        fold(Contents.of(tensors, 'mine.pth'))


def test_only_one_of_two_models_is_folded():
    teacher, student = (Detector().state_dict() for _ in range(2))
    tensors = {f'teacher.{n}': t for n, t in teacher.items()}
    tensors |= {f'student.{n}': t for n, t in student.items()}
    checkpoint, left = export(fold(Contents.of(tensors, 'x')), 'mmdet')
    plain = Detector(gab_cfg=None)
    load_whole_model(plain, checkpoint, 'x', strict=True)
    assert torch.equal(plain.neck.weight, teacher['neck.weight'])
    assert set(left) == {f'student.{n}' for n in student}


def test_backbone_with_another_name_keeps_its_name():
    tensors = {n.replace('backbone', 'img_backbone'): t for n, t in Detector().state_dict().items()}
    checkpoint, _ = export(fold(Contents.of(tensors, 'x')), 'mmdet')
    assert 'img_backbone.norm3.weight' in checkpoint['state_dict']
    assert 'neck.weight' in checkpoint['state_dict']


class Detector(torch.nn.Module):
    def __init__(self, **backbone):
        super().__init__()
        self.backbone = SwinGAB(**OURS, **backbone)
        self.neck = torch.nn.Linear(4, 4)


def test_complete_model_keeps_other_parts_and_valid_meta():
    model = Detector()
    meta = dict(dataset_meta=dict(classes=['a']), epoch=3, cfg="type='mmgab.SwinGAB'", seed=1)
    contents = fold(Contents.of(dict(state_dict=model.state_dict(), meta=meta), 'x'))
    checkpoint, left = export(contents, 'mmdet', meta)
    assert left == []
    assert checkpoint['meta'] == dict(dataset_meta=dict(classes=['a']), epoch=3)
    assert 'gaussian' not in str(checkpoint.keys()) + str(list(checkpoint['state_dict']))
    plain = Detector(gab_cfg=None)
    load_whole_model(plain, checkpoint, 'x', strict=True)
    assert torch.equal(plain.neck.weight, model.neck.weight)
    assert_same_function(plain.backbone, model.backbone)


BROKEN = {
    'not finite': (lambda t: t['norm3.weight'].fill_(float('nan')), 'values that are not finite'),
    'a gap': (
        lambda t: t.pop('stages.1.blocks.1.ffn.layers.1.bias'),
        'layers.1.bias, which other',
    ),
    'no final norm': (lambda t: t.pop('norm3.weight'), 'timm needs a norm after the last stage'),
}


@pytest.mark.parametrize('case', BROKEN)
def test_incomplete_swin_is_not_exported(case):
    tensors = SwinGAB(**OURS, gab_cfg=None).state_dict()
    damage, message = BROKEN[case]
    damage(tensors)
    with pytest.raises(ValueError, match=message):
        export(Contents.of(tensors, 'mine.pth'), 'timm')
