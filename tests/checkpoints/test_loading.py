import re

import pytest
import timm
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.runner.checkpoint import get_state_dict, weights_to_cpu
from mmengine.runner.checkpoint import load_checkpoint as mmengine_load
from mmseg.models.backbones.swin import SwinTransformer as SegSwin
from torchvision.models.swin_transformer import SwinTransformer as VisionSwin

from mmgab.checkpoints import Contents, export, load, load_whole_model
from mmgab.checkpoints.conversion import from_openmmlab
from mmgab.checkpoints.layouts import MICROSOFT, TRANSFORMERS_BACKBONE
from mmgab.functional import resize_table
from mmgab.layers.position_embedding import resize_tokens
from mmgab.models import SwinGAB

from .projects import CLASSES, PROJECTS, images, randomise
from .projects import OURS as SIZES


@pytest.fixture
def microsoft_file(tmp_path):
    """A classifier in Microsoft's layout, as its releases wrap it."""
    swin = randomise(SwinGAB(**SIZES, out_indices=(3,), gab_cfg=None)).state_dict()
    swin['head.fc.weight'] = torch.randn(CLASSES, 128)
    checkpoint, _ = export(Contents.of(swin, 'x'), 'microsoft')
    path = tmp_path / 'swin_tiny_patch4_window7_224.pth'
    torch.save(checkpoint, path)
    return str(path)


def features(model, height, width):
    with torch.no_grad():
        return model(images((height, width)))


def assert_equal_maps(a, b):
    for ours, theirs in zip(a, b, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_microsofts_layout_gives_the_function_that_mmdets_own_conversion_gives(microsoft_file):
    """But for the last norm, which it leaves out."""
    init_cfg = ConfigDict(type='Pretrained', checkpoint=microsoft_file)
    theirs = DetSwin(**SIZES, convert_weights=True, init_cfg=init_cfg)
    theirs.init_weights()
    theirs.train(False)
    ours = SwinGAB(**SIZES, gab_cfg=None, init_cfg=init_cfg).eval()
    ours.init_weights()
    theirs.norm3.load_state_dict(ours.norm3.state_dict())
    assert_equal_maps(features(ours, 97, 131), features(theirs, 97, 131))


def test_an_averaged_set_of_weights_counts_before_the_others(tmp_path):
    averaged, plain = (randomise(SwinGAB(**SIZES), seed=seed).state_dict() for seed in (1, 2))
    torch.save(dict(state_dict=plain, state_dict_ema=averaged), tmp_path / 'both.pth')
    model = SwinGAB(**SIZES)
    load(model, str(tmp_path / 'both.pth'))
    assert torch.equal(model.norm3.weight, averaged['norm3.weight'])


def test_a_classifier_leaves_out_the_gaussian_and_the_output_norms_and_says_so(microsoft_file):
    model = SwinGAB(**SIZES)
    report = load(model, microsoft_file)
    assert report.layout == 'microsoft'
    assert report.total == len(model.state_dict())
    assert len(report.loaded) + len(report.missing) == report.total
    assert {re.sub(r'.*\.(?=gaussian)', '', name) for name in report.missing} == {
        'gaussian.amplitude', 'gaussian.sigma', 'norm0.weight', 'norm0.bias', 'norm1.weight',
        'norm1.bias', 'norm2.weight', 'norm2.bias',
    }  # fmt: skip
    line = str(report)
    assert '\n' not in line
    assert f'Loaded {len(report.loaded)} of {report.total} tensors from {microsoft_file}' in line
    assert '8 x stages.*.blocks.*.attn.w_msa.gaussian.sigma' in line
    assert 'unexpected, not used: head.fc.weight' in line


def test_init_cfg_logs_the_report(microsoft_file, tmp_path):
    log = tmp_path / 'run.log'
    MMLogger.get_instance('test_init_cfg', log_file=str(log))
    init_cfg = dict(type='Pretrained', checkpoint=microsoft_file)
    SwinGAB(**SIZES, init_cfg=init_cfg).init_weights()
    assert re.search(r'Loaded \d+ of \d+ tensors from .*swin_tiny', log.read_text())


def test_init_cfg_takes_the_arguments_of_load_and_refuses_others(microsoft_file):
    init_cfg = dict(type='Pretrained', checkpoint=microsoft_file)
    with pytest.raises(ValueError, match=r'its sha256 is [0-9a-f]{64}, wanted 00000000'):
        SwinGAB(**SIZES, init_cfg=dict(init_cfg, sha256='0' * 8)).init_weights()
    with pytest.raises(ValueError, match='where resizing is not allowed'):
        SwinGAB(**SIZES, window_size=8, init_cfg=dict(init_cfg, resize=False)).init_weights()
    with pytest.raises(ValueError, match="no key 'sha265'; did you mean 'sha256'"):
        SwinGAB(**SIZES, init_cfg=dict(init_cfg, sha265='0'))


WRAPPINGS = {
    'bare': lambda t: t,
    'state_dict': lambda t: dict(state_dict=t, meta=dict(epoch=3)),
    'model': lambda t: dict(model=t, optimizer={}),
    'ema': lambda t: dict(model_ema=t),
    'teacher and student': lambda t: dict(teacher=t, student={n: x * 0 for n, x in t.items()}),
    'compiled': lambda t: {f'_orig_mod.{n}': x for n, x in t.items()},
    'module': lambda t: {f'module.{n}': x for n, x in t.items()},
    'backbone': lambda t: dict(state_dict={f'backbone.{n}': x for n, x in t.items()}),
    'module and backbone': lambda t: {f'module.backbone.{n}': x for n, x in t.items()},
    'detector': lambda t: dict(
        state_dict={
            **{f'backbone.{n}': x for n, x in t.items()},
            'bbox_head.fc_cls.weight': torch.zeros(2, 2),
        }
    ),
    'teacher and student by name': lambda t: {
        **{f'student.backbone.{n}': x * 0 for n, x in t.items()},
        **{f'teacher.backbone.{n}': x for n, x in t.items()},
    },
    'somewhere else': lambda t: dict(state_dict={f'model.encoder.{n}': x for n, x in t.items()}),
}


@pytest.mark.parametrize('stock', [DetSwin, SegSwin])
@pytest.mark.parametrize('wrapping', WRAPPINGS)
def test_openmmlabs_files_load_in_every_wrapping(stock, wrapping, tmp_path):
    theirs = randomise(stock(**SIZES))
    path = str(tmp_path / 'swin.pth')
    torch.save(WRAPPINGS[wrapping](dict(theirs.state_dict())), path)
    ours = SwinGAB(**SIZES, gab_cfg=None).eval()
    report = load(ours, path)
    assert report.missing == []
    assert report.layout == 'openmmlab'
    assert_equal_maps(features(ours, 61, 90), features(theirs, 61, 90))


def test_one_of_several_is_chosen_by_prefix_and_not_by_chance(tmp_path):
    first, second = (randomise(SwinGAB(**SIZES), seed=seed).state_dict() for seed in (1, 2))
    tensors = {f'rgb.{n}': t for n, t in first.items()} | {
        f'depth.{n}': t for n, t in second.items()
    }
    torch.save(tensors, tmp_path / 'two.pth')
    model = SwinGAB(**SIZES)
    with pytest.raises(ValueError, match=r"two\.pth holds Swins under \['rgb\.', 'depth\.'\]"):
        load(model, str(tmp_path / 'two.pth'))
    for prefix in ('depth', 'depth.'):
        load(model, str(tmp_path / 'two.pth'), prefix=prefix)
        assert all(torch.equal(t, second[n]) for n, t in model.state_dict().items())
    with pytest.raises(ValueError, match=r"none of them is 'thermal\.'"):
        load(model, str(tmp_path / 'two.pth'), prefix='thermal')


# ---- other windows


def test_a_table_of_another_window_is_resized_and_named(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=7).state_dict(), tmp_path / 'swin.pth')
    report = load(SwinGAB(**SIZES, window_size=12), str(tmp_path / 'swin.pth'))
    assert len(report.resized) == 8
    assert 'resized: 8 x stages.*.blocks.*.attn.w_msa.relative_position_bias_table' in str(report)


def plain_torch(model, tensors):
    model.load_state_dict(tensors, strict=False)


def stock_mmengine(model, tensors, tmp_path):
    torch.save(dict(state_dict=tensors), tmp_path / 'whole.pth')
    mmengine_load(model, str(tmp_path / 'whole.pth'))


@pytest.mark.parametrize('way', ['torch', 'mmengine', 'ours', 'whole'])
@pytest.mark.parametrize('source', [7, (3, 5), (5, 3), (4, 4)])
@pytest.mark.parametrize('target', [(5, 3), 8])
def test_windows_of_any_shape_are_resized_whichever_way_they_are_loaded(
    way, source, target, tmp_path
):
    """Also 3 x 5 into 5 x 3, whose tables have the same shape."""
    file = randomise(SwinGAB(**SIZES, window_size=source))
    model = SwinGAB(**SIZES, window_size=target)
    tensors = weights_to_cpu(get_state_dict(file))  # as MMEngine saves
    if way == 'torch':
        model.load_state_dict(tensors, strict=True)
    elif way == 'mmengine':
        stock_mmengine(model, tensors, tmp_path)
    elif way == 'ours':
        torch.save(dict(state_dict=tensors), tmp_path / 'swin.pth')
        load(model, str(tmp_path / 'swin.pth'))
    else:
        load_whole_model(model, dict(state_dict=tensors), 'swin.pth', strict=True)
    before, after = (m.stages[2].blocks[1].attn.w_msa for m in (file, model))
    expected = resize_table(
        before.relative_position_bias_table, before.window_size, after.window_size
    )
    assert torch.equal(after.relative_position_bias_table, expected)


def test_the_index_of_a_stock_file_tells_its_window(tmp_path):
    theirs = VisionSwin([4, 4], 16, [2, 2, 2, 2], [2, 4, 8, 16], [3, 5])
    torch.save(theirs.state_dict(), tmp_path / 'swin.pth')
    model = SwinGAB(**SIZES, window_size=(5, 3), gab_cfg=None)
    load(model, str(tmp_path / 'swin.pth'))
    expected = resize_table(theirs.features[1][0].attn.relative_position_bias_table, (3, 5), (5, 3))
    assert torch.equal(model.stages[0].blocks[0].attn.w_msa.relative_position_bias_table, expected)


@pytest.mark.parametrize('window', [(5, 1), (1, 5)])
def test_windows_of_one_column_come_back_as_they_were(window):
    """Their index is that of a row."""
    model = randomise(SwinGAB(**SIZES, window_size=window, gab_cfg=None))
    exported, _ = export(Contents.of(model.state_dict(), 'x'), 'mmgab')
    other = SwinGAB(**SIZES, window_size=window, gab_cfg=None)
    other.load_state_dict(exported['state_dict'], strict=True)
    assert_equal_maps(features(other.eval(), 61, 90), features(model, 61, 90))


def test_claims_of_another_window_than_the_table_has_are_not_believed():
    """An index or a note that was left beside a table that somebody resized."""
    tensors = SwinGAB(**SIZES, window_size=7, gab_cfg=None).state_dict()
    table = 'stages.0.blocks.0.attn.w_msa.relative_position_bias_table'
    tensors[table] = torch.randn(23 * 23, 2)
    tensors[table.replace('bias_table', 'index')] = torch.zeros(0)
    model = SwinGAB(**SIZES, window_size=12, gab_cfg=None)
    model.load_state_dict(tensors)
    assert torch.equal(model.state_dict()[table], tensors[table])


def without_metadata(model):
    return dict(model.state_dict())


def test_sigma_keeps_its_tokens_or_on_request_its_share_of_the_window(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=6).state_dict(), tmp_path / 'swin.pth')
    for rescale, expected in ((False, 5.0), (True, 10.0)):
        model = SwinGAB(**SIZES, window_size=12, gab_cfg=dict(rescale_sigma=rescale))
        for _ in range(2):  # loading again does not rescale again
            load(model, str(tmp_path / 'swin.pth'))
            assert model.stages[1].blocks[1].attn.w_msa.gaussian.sigma.tolist() == [expected]


def test_a_resumed_run_resizes_nothing_and_a_test_does():
    checkpoint = dict(state_dict=Detector(window_size=7).state_dict())
    report = load_whole_model(Detector(window_size=8), checkpoint, 'a.pth', strict=True)
    assert len(report.resized) == 8
    with pytest.raises(ValueError, match='where resizing is not allowed'):
        load_whole_model(Detector(window_size=8), checkpoint, 'a.pth', strict=True, resize=False)


def test_resizing_can_be_forbidden_also_between_tables_of_one_shape(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=(3, 5)).state_dict(), tmp_path / 'swin.pth')
    model = SwinGAB(**SIZES, window_size=(5, 3))
    with pytest.raises(ValueError, match='8 of another window or image size'):
        load(model, str(tmp_path / 'swin.pth'), resize=False)
    assert len(load(model, str(tmp_path / 'swin.pth')).resized) == 8


POSITION = dict(use_abs_pos_embed=True)


@pytest.mark.parametrize(('source', 'target'), [((32, 64), (64, 32)), ((16, 64), (48, 48))])
def test_position_embeddings_of_any_grid_are_resized_and_not_taken_for_others(
    source, target, tmp_path
):
    file = randomise(SwinGAB(**SIZES, **POSITION, pretrain_img_size=source))
    model = SwinGAB(**SIZES, **POSITION, pretrain_img_size=target).eval()
    report = load(model, saved(tmp_path, file))
    assert report.resized == ['absolute_pos_embed']
    with torch.no_grad():  # both resize it to the image's grid
        grid = tuple(side // 4 for side in source)
        expected = resize_tokens(file.absolute_pos_embed, grid, model.pretrain_grid)
    assert torch.equal(model.absolute_pos_embed, expected)


def test_resizing_can_be_forbidden(tmp_path):
    torch.save(SwinGAB(**SIZES, window_size=7).state_dict(), tmp_path / 'swin.pth')
    with pytest.raises(ValueError, match='8 of another window or image size, where resizing is'):
        load(SwinGAB(**SIZES, window_size=12), str(tmp_path / 'swin.pth'), resize=False)


# ---- every way of loading adapts


@pytest.mark.parametrize('name', ['timm', 'torchvision'])
@pytest.mark.parametrize('way', ['torch', 'mmengine', 'whole', 'mmengine, whole', 'bare'])
def test_other_layouts_are_adapted_whichever_way_they_are_loaded(name, way, tmp_path):
    theirs = randomise(PROJECTS[name].build())
    tensors = theirs.state_dict()
    inside = {f'backbone.{n}': t for n, t in tensors.items()}
    whole = Detector(gab_cfg=None)
    if way == 'torch':
        plain_torch(whole.backbone, tensors)
    elif way == 'mmengine':
        stock_mmengine(whole.backbone, tensors, tmp_path)
    elif way == 'mmengine, whole':
        stock_mmengine(whole, inside, tmp_path)
    else:
        file = inside if way == 'whole' else tensors
        report = load_whole_model(whole, file, 'swin.pth', strict=False)
        assert report.layout == name
    with torch.no_grad():
        x = images((448, 448))
        expected = PROJECTS[name].features(theirs, x)[-1]
        torch.testing.assert_close(whole.backbone.eval()(x)[-1], expected, atol=1e-5, rtol=1e-5)


def test_a_bare_backbone_starts_a_whole_detector():
    theirs = randomise(DetSwin(**SIZES))
    model = Detector()
    report = load_whole_model(model, theirs.state_dict(), 'swin.pth', strict=False)
    assert torch.equal(model.backbone.norm3.weight, theirs.norm3.weight)
    assert {n.rpartition('.')[0] for n in report.missing} >= {'head'}


def test_a_detector_of_microsofts_repository_is_loaded_whole_and_strictly():
    source = Detector(gab_cfg=None)
    checkpoint, _ = export(Contents.of(source.state_dict(), 'x'), 'microsoft')
    assert 'backbone.layers.0.blocks.0.attn.qkv.weight' in checkpoint['state_dict']
    target = Detector(gab_cfg=None)
    report = load_whole_model(target, checkpoint, 'a.pth', strict=True)
    assert report.layout == 'microsoft detection'
    assert all(torch.equal(t, source.state_dict()[n]) for n, t in target.state_dict().items())


# ---- what does not fit


def saved(tmp_path, model):
    path = str(tmp_path / 'other.pth')
    torch.save(model.state_dict() if isinstance(model, torch.nn.Module) else model, path)
    return path


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
    'two layouts in one': (two_layouts, SIZES, ['without a place in the model', 'layers.*.blocks']),
    'the same twice': (the_same_twice, SIZES, ['swin.encoder', 'are both stages.0.blocks.0']),
    'all sigmas lost': (
        lambda: without(SwinGAB(**SIZES), 'gaussian.sigma'),
        SIZES,
        ['8 missing in the file (8 x stages.*.blocks.*.attn.w_msa.gaussian.sigma)'],
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
        ['of another kind of number'],
    ),
    'depth': (
        lambda: SwinGAB(depths=(2, 2, 18, 2)),
        dict(depths=(2, 2, 6, 2)),
        ['Swin-S', '2-2-18-2', 'into Swin-T', '2-2-6-2'],
    ),
    'shallower': (
        lambda: SwinGAB(depths=(2, 2, 6, 2)),
        dict(depths=(2, 2, 18, 2)),
        ['Swin-T', 'into Swin-S', 'missing in the file', '12 x stages.*.blocks.*.norm1.weight'],
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
        ['it is a Swin V2'],
    ),
    'Gaussian into plain': (
        lambda: SwinGAB(**SIZES),
        dict(**SIZES, gab_cfg=None),
        ['without a place', 'gaussian'],
    ),
    'one tensor lost': (
        lambda: {
            name: tensor
            for name, tensor in SwinGAB(**SIZES).state_dict().items()
            if name != 'stages.1.blocks.0.attn.w_msa.qkv.weight'
        },
        SIZES,
        ['1 missing in the file (stages.1.blocks.0.attn.w_msa.qkv.weight)'],
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
        ['1 missing in the file (stages.1.blocks.0.attn.w_msa.qkv.weight)'],
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
def test_what_does_not_fit_is_refused_with_the_reason_and_nothing_is_loaded(case, tmp_path):
    make, arguments, words = REFUSED[case]
    path = saved(tmp_path, make())
    model = SwinGAB(**arguments)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=re.escape(path)) as caught:
        load(model, path)
    for word in words:
        assert word in str(caught.value)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_without_strictness_what_fits_is_loaded_and_the_rest_reported(tmp_path):
    source = randomise(SwinGAB(**{**SIZES, 'num_heads': (4, 8, 16, 32)}))
    model = SwinGAB(**SIZES)
    report = load(model, saved(tmp_path, source), strict=False)
    assert torch.equal(model.norm3.weight, source.norm3.weight)
    tables = [n for n in model.state_dict() if n.endswith('table')]
    assert sorted(report.missing) == sorted(tables)
    assert sorted(report.unexpected) == sorted(tables)


# ---- the Gaussian at load time


@pytest.mark.parametrize('per_head', [False, True])
@pytest.mark.parametrize('way', ['ours', 'torch', 'mmengine', 'whole'])
def test_fitted_at_load_time_the_gaussian_leaves_the_function_as_it_is(way, per_head, tmp_path):
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


def test_the_papers_start_adds_the_initial_gaussian_on_top_of_the_table(tmp_path):
    theirs = randomise(DetSwin(**SIZES))
    model = SwinGAB(**SIZES, gab_cfg=dict(init='paper'))
    load(model, saved(tmp_path, theirs))
    attention = model.stages[1].blocks[0].attn.w_msa
    table = theirs.stages[1].blocks[0].attn.w_msa.relative_position_bias_table
    assert torch.equal(attention.relative_position_bias_table, table)
    assert attention.gaussian.amplitude.tolist() == [1.0]
    assert attention.gaussian.sigma.tolist() == [5.0]


def test_a_trained_gaussian_is_not_fitted_anew(tmp_path):
    trained = randomise(SwinGAB(**SIZES))
    model = SwinGAB(**SIZES, gab_cfg=dict(init='fit'))
    report = load(model, saved(tmp_path, trained))
    assert report.fitted == []
    assert all(torch.equal(t, trained.state_dict()[n]) for n, t in model.state_dict().items())


def test_the_fit_is_logged_for_every_layer(tmp_path):
    log = tmp_path / 'run.log'
    MMLogger.get_instance('test_fit', log_file=str(log))
    load(SwinGAB(**SIZES, gab_cfg=dict(init='fit')), saved(tmp_path, DetSwin(**SIZES)))
    lines = re.findall(
        r'stages\.\d\.blocks\.\d.*A \d+\.\d+ logits, sigma .* tokens, R\^2 0', log.read_text()
    )
    assert len(lines) == 8


# ---- whole models


class Detector(torch.nn.Module):
    def __init__(self, classes=3, **backbone):
        super().__init__()
        self.backbone = SwinGAB(**SIZES, **backbone)
        self.head = torch.nn.Linear(4, classes)


def test_a_whole_model_that_is_tested_must_fit_in_every_tensor():
    checkpoint = dict(state_dict=Detector(classes=5).state_dict())
    with pytest.raises(
        ValueError, match=r'a\.pth does not fit.*head\.weight \(5, 4\) for \(3, 4\)'
    ):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=True)
    report = load_whole_model(Detector(classes=5), checkpoint, 'a.pth', strict=True)
    assert len(report.loaded) == report.total


def test_a_plain_swin_is_not_tested_with_a_gaussian_that_it_never_had():
    checkpoint = dict(state_dict=Detector(gab_cfg=None).state_dict())
    with pytest.raises(ValueError, match=r'missing in the file \(8 x .*gaussian\.amplitude'):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=True)


def test_values_that_are_not_finite_are_refused_in_heads_too():
    checkpoint = dict(state_dict=Detector().state_dict())
    checkpoint['state_dict']['head.bias'][0] = float('inf')
    with pytest.raises(ValueError, match=r'1 with values that are not finite \(head\.bias\)'):
        load_whole_model(Detector(), checkpoint, 'a.pth', strict=False)


def test_a_start_of_training_keeps_a_new_head_and_demands_the_backbone():
    source, target = Detector(classes=5, gab_cfg=None), Detector()
    checkpoint = dict(state_dict=source.state_dict())
    head = target.head.weight.clone()
    report = load_whole_model(target, checkpoint, 'a.pth', strict=False)
    assert torch.equal(target.head.weight, head)
    assert torch.equal(target.backbone.norm0.weight, source.backbone.norm0.weight)
    assert 'head.weight' in report.missing
    del checkpoint['state_dict']['backbone.norm0.weight']
    with pytest.raises(ValueError, match=r'1 missing in the file \(backbone\.norm0\.weight\)'):
        load_whole_model(target, checkpoint, 'a.pth', strict=False)


@pytest.mark.parametrize('place', ['img_backbone', 'encoder'])
def test_a_backbone_of_any_name_is_demanded(place):
    def renamed(tensors):
        return {n.replace('backbone', place): t for n, t in tensors.items()}

    model = torch.nn.ModuleDict({place: SwinGAB(**SIZES), 'head': torch.nn.Linear(4, 3)})
    tensors = renamed(Detector().state_dict())
    assert len(load_whole_model(model, tensors, 'a.pth', strict=False).loaded) == len(tensors)
    for name in list(tensors):
        if 'qkv' in name:
            del tensors[name]
    with pytest.raises(ValueError, match=r'a\.pth'):
        load_whole_model(model, tensors, 'a.pth', strict=False)


def test_norms_of_stages_that_are_not_returned_are_left_out_of_a_start():
    model = Detector(out_indices=(1, 2, 3))
    report = load_whole_model(model, Detector().state_dict(), 'a.pth', strict=False)
    assert report.unexpected == ['backbone.norm0.weight', 'backbone.norm0.bias']
    assert report.missing == []


def test_what_is_left_out_of_a_larger_file_is_reported(tmp_path):
    detector = Detector().state_dict()
    tensors = {f'teacher.{n}': t for n, t in detector.items()}
    tensors |= {f'student.{n}': t for n, t in detector.items()}
    torch.save(tensors, tmp_path / 'two.pth')
    left = {f'student.{n}' for n in detector}
    report = load(SwinGAB(**SIZES), str(tmp_path / 'two.pth'))
    assert set(report.unexpected) == {'head.weight', 'head.bias', *left}
    report = load_whole_model(Detector(), tensors, 'two.pth', strict=False)
    assert set(report.unexpected) == left
    with pytest.raises(ValueError, match='without a place in the model'):
        load_whole_model(Detector(), tensors, 'two.pth', strict=True)


def test_a_model_inside_another_is_loaded_with_its_heads():
    source, target = Detector(), Detector()
    tensors = {f'model.{n}': t for n, t in source.state_dict().items()}
    load_whole_model(target, tensors, 'a.pth', strict=True)
    assert torch.equal(target.head.weight, source.head.weight)


def test_a_model_without_values_cannot_be_loaded():
    with torch.device('meta'):
        model = Detector()
    with pytest.raises(ValueError, match='without values, in the file or the model'):
        load_whole_model(model, Detector().state_dict(), 'a.pth', strict=True)


def test_what_the_report_says_is_left_as_it_is_is_left_as_it_is(tmp_path):
    """A Gaussian for each head into a shared one, where a fit would be made."""
    file = randomise(SwinGAB(**SIZES, gab_cfg=dict(per_head=True)))
    model = SwinGAB(**SIZES, gab_cfg=dict(init='fit'))
    report = load(model, saved(tmp_path, file), strict=False)
    attention = model.stages[3].blocks[0].attn.w_msa
    assert 'stages.3.blocks.0.attn.w_msa.gaussian.sigma' in report.missing
    assert attention.gaussian.sigma.tolist() == [5.0]
    table = file.stages[3].blocks[0].attn.w_msa.relative_position_bias_table
    assert torch.equal(attention.relative_position_bias_table, table)


def test_a_start_of_training_with_nothing_in_common_is_refused():
    head = torch.nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r'a\.pth does not fit.*no tensor has a name in common'):
        load_whole_model(head, dict(other=torch.zeros(2)), 'a.pth', strict=False)


def test_a_backbone_inside_another_model_is_demanded_too():
    model = torch.nn.ModuleDict(dict(student=Detector()))
    with pytest.raises(ValueError, match='missing in the file'):
        load_whole_model(model, dict(other=torch.zeros(2)), 'a.pth', strict=False)
