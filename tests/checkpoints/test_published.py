"""Published files of pretraining and early OpenMMLab versions load strictly, with a report."""

import importlib.util
from pathlib import Path

import mmpretrain.models
import mmseg
import pytest
import timm
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmpretrain.models.selfsup import SimMIMSwinTransformer
from mmseg.models.backbones.swin import SwinTransformer as SegSwin

from mmgab.checkpoints import Contents, export, load, load_vit, load_whole_model
from mmgab.models import SwinGAB, ViTGAB

from .projects import DEPTHS, HEADS, OURS, PRETRAIN_ARCH, PROJECTS, WIDTH, images, randomise

pytestmark = pytest.mark.slow

SIZE = (448, 448)
VIT = dict(
    img_size=32, embed_dims=16, depth=2, num_heads=2, qkv_bias=True, rel_pos_cfg=None,
    use_abs_pos_embed=True, layer_scale=None, gab_cfg=None, out_indices=(1,),
)  # fmt: skip


def saved(tmp_path, content):
    torch.save(content, tmp_path / 'published.pth')
    return str(tmp_path / 'published.pth')


def last_map(model, size=SIZE):
    model.eval()  # which returns nothing in mmpretrain
    with torch.no_grad():
        return model(images(size))[-1]


# ---- tensors of pretraining alone


def classifier():
    """A network of timm's, and its tensors without the head."""
    theirs = randomise(PROJECTS['timm'].build())
    tensors = {n: t for n, t in theirs.state_dict().items() if not n.startswith('head')}
    return theirs, tensors


TOKEN = torch.zeros(1, 1, WIDTH)
DINO = {
    'head.mlp.0.weight': torch.zeros(2, 2),
    'head.last_layer.weight_g': torch.zeros(2, 1),
    'head_dense.mlp.0.bias': torch.zeros(2),
}
# Where the tensors are in the file, what stands before the Swin's, and what else is there.
FILES = {
    'SimMIM': (
        'model',
        'encoder.',
        {'encoder.mask_token': TOKEN, 'decoder.0.weight': torch.zeros(2, 2, 1, 1)},
    ),
    'SimMIM, the encoder alone': ('model', '', {'mask_token': TOKEN}),
    'iBOT': (
        'teacher',
        'backbone.',
        {'backbone.masked_embed': TOKEN[0], 'head.mlp.0.weight': torch.zeros(2, 2)},
    ),
    'EsViT': (
        'teacher',
        '',
        {
            'head.mlp.0.weight': torch.zeros(2, 2),
            'head.last_layer.weight_g': torch.zeros(2, 1),
            'head_dense.mlp.0.bias': torch.zeros(2),
        },
    ),
    'MoBY': (
        'model',
        'encoder.',
        {'projector.linear1.weight': torch.zeros(2, 2), 'queue1': torch.zeros(2, 2)},
    ),
    'a decoder of blocks': (
        'model',
        '',
        {
            'mask_token': TOKEN,
            'decoder_embed.weight': torch.zeros(2, 2),
            'decoder_pos_embed': torch.zeros(1, 2, 2),
            'decoder_blocks.0.attn.qkv.weight': torch.zeros(6, 2),
        },
    ),
}


def file_of(kind, tensors):
    key, prefix, extra = FILES[kind]
    return {key: {f'{prefix}{name}': tensor for name, tensor in tensors.items()} | extra}


@pytest.mark.parametrize('kind', FILES)
def test_pretraining_tensors_are_reported_as_unexpected(kind, tmp_path):
    theirs, tensors = classifier()
    _, prefix, extra = FILES[kind]
    ours = SwinGAB(**OURS, gab_cfg=None)
    report = load(ours, saved(tmp_path, file_of(kind, tensors)))
    assert set(report.unexpected) == {name.removeprefix(prefix) for name in extra}
    expected = PROJECTS['timm'].features(theirs.eval(), images(SIZE))[-1]
    torch.testing.assert_close(last_map(ours), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('kind', FILES)
def test_pretraining_tensors_are_dropped_by_conversion(kind):
    _, prefix, extra = FILES[kind]
    content = file_of(kind, classifier()[1])
    _, left = export(Contents.of(content, 'x'), 'timm')
    assert set(left) == {name.removeprefix(prefix) for name in extra}


def test_finetuning_loads_pretraining_file():
    content = file_of('SimMIM', classifier()[1])
    model = torch.nn.ModuleDict(dict(backbone=SwinGAB(**OURS), head=torch.nn.Linear(2, 2)))
    report = load_whole_model(model, content, 'simmim.pth', strict=False)
    assert 'backbone.mask_token' in report.unexpected
    with pytest.raises(ValueError, match=r'unexpected key\(s\) .*mask_token'):
        load_whole_model(model, content, 'simmim.pth', strict=True)


def test_mmpretrain_simmim_backbone_loads(tmp_path):
    theirs = randomise(SimMIMSwinTransformer(PRETRAIN_ARCH, pad_small_map=True))
    content = dict(state_dict={f'backbone.{n}': t for n, t in theirs.state_dict().items()})
    ours = SwinGAB(**OURS, gab_cfg=None)
    assert load(ours, saved(tmp_path, content)).unexpected == ['mask_token']
    with torch.no_grad():
        expected = theirs(images((97, 131)), None)[-1]
    torch.testing.assert_close(last_map(ours, (97, 131)), expected, atol=1e-5, rtol=1e-5)


NOT_OF_PRETRAINING = ['extra.weight', 'stages.0.mask_token', 'adapter.head.weight',
                      'stages.1.blocks.0.head.weight', 'tokens', 'neck.0.weight']  # fmt: skip


@pytest.mark.parametrize('name', NOT_OF_PRETRAINING)
def test_other_unexpected_keys_are_rejected(name, tmp_path):
    content = {**SwinGAB(**OURS).state_dict(), name: torch.zeros(2)}
    with pytest.raises(ValueError, match=r'1 unexpected key\(s\)'):
        load(SwinGAB(**OURS, out_indices=(0, 1, 2, 3)), saved(tmp_path, content))


class WithToken(SwinGAB):
    """A backbone that has a mask token itself."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.mask_token = torch.nn.Parameter(torch.zeros(1, 1, self.num_features[0]))


def test_model_with_mask_token_loads_it(tmp_path):
    _, tensors = classifier()
    model = WithToken(**OURS)
    report = load(model, saved(tmp_path, {**tensors, 'mask_token': TOKEN + 2}))
    assert report.unexpected == []
    assert torch.equal(model.mask_token, TOKEN + 2)


MAE = ('mask_token', 'decoder_pos_embed', 'decoder_embed.weight', 'decoder_norm.bias',
       'decoder_blocks.0.attn.qkv.weight', 'decoder_pred.bias')  # fmt: skip
BEIT_AND_DINO = ('masked_embed', 'head.last_layer.weight_v', 'lm_head.weight', 'register_tokens')


@pytest.mark.parametrize('names', [MAE, BEIT_AND_DINO])
def test_pretrained_plain_vits_load(names, tmp_path):
    tensors = dict(ViTGAB(**VIT).state_dict())
    content = dict(model={**tensors, **{name: torch.zeros(1, 2, 2) for name in names}})
    report = load_vit(ViTGAB(**VIT), saved(tmp_path, content))
    assert set(report.unexpected) == set(names)
    assert report.missing == []


def test_vit_with_unexpected_keys_is_rejected(tmp_path):
    content = {**ViTGAB(**VIT).state_dict(), 'blocks.0.attn.q_bias': torch.zeros(2)}
    with pytest.raises(ValueError, match=r'unexpected key\(s\) \(blocks\.0\.attn\.q_bias'):
        load_vit(ViTGAB(**VIT), saved(tmp_path, content))


# ---- timm's networks for features alone


@pytest.mark.parametrize('prefix', ['', 'model.', 'encoder.model.'])
def test_timm_features_only_networks_load(prefix, tmp_path):
    theirs = timm.create_model(
        'swin_tiny_patch4_window7_224', features_only=True, img_size=448, embed_dim=WIDTH,
        depths=DEPTHS, num_heads=HEADS,
    )  # fmt: skip
    randomise(theirs)
    content = {f'{prefix}{name}': tensor for name, tensor in theirs.state_dict().items()}
    ours = SwinGAB(**OURS, gab_cfg=None)
    report = load(ours, saved(tmp_path, content))
    assert set(report.missing) == {f'norm{i}.{p}' for i in range(4) for p in ('weight', 'bias')}
    with torch.no_grad():
        maps = zip(ours.eval()(images(SIZE)), theirs(images(SIZE)), strict=True)
        for i, (own, expected) in enumerate(maps):
            normed = getattr(ours, f'norm{i}')(expected).permute(0, 3, 1, 2)
            torch.testing.assert_close(own, normed, atol=1e-5, rtol=1e-5)


# ---- OpenMMLab's classifiers whose last norm has no number


def swin2mmseg(tensors):
    """MMSegmentation's own converter, as it is installed."""
    path = Path(mmseg.__file__).parent / '.mim/tools/model_converters/swin2mmseg.py'
    spec = importlib.util.spec_from_file_location('swin2mmseg', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.convert_swin(tensors)


@pytest.fixture
def converted(tmp_path):
    """A classifier of Microsoft's names after MMSegmentation's converter, and its own network."""
    theirs = randomise(PROJECTS['timm'].build())
    checkpoint, _ = export(Contents.of(theirs.state_dict(), 'x'), 'microsoft')
    return theirs, saved(tmp_path, swin2mmseg(checkpoint['model']))


def test_mmseg_converter_file_loads_with_last_norm(converted):
    theirs, path = converted
    ours = SwinGAB(**OURS, gab_cfg=None)
    report = load(ours, path)
    assert report.layout == 'openmmlab classifier'
    assert set(report.missing) == {f'norm{i}.{p}' for i in range(3) for p in ('weight', 'bias')}
    assert report.unexpected == []
    expected = PROJECTS['timm'].features(theirs.eval(), images(SIZE))[-1]
    torch.testing.assert_close(last_map(ours), expected, atol=1e-5, rtol=1e-5)


def test_changing_only_the_type_gives_stock_feature_maps(converted):
    """Stock MMSegmentation ignores the norm, and so does leave_out; the rest is identical."""
    path = converted[1]
    init_cfg = ConfigDict(type='Pretrained', checkpoint=path)
    theirs, ours = SegSwin(**OURS, init_cfg=init_cfg), SwinGAB(
        **OURS, gab_cfg=None, init_cfg=init_cfg
    )  # fmt: skip
    exact = SwinGAB(
        **OURS, gab_cfg=None, init_cfg=ConfigDict(init_cfg, leave_out=r'norm3\..*')
    )  # fmt: skip
    for model in (theirs, ours, exact):
        model.init_weights()
        model.eval()
    x = images((97, 131))
    with torch.no_grad():
        stock, one_line, all_four = theirs(x), ours(x), exact(x)
    for a, b in [*zip(stock[:3], one_line[:3], strict=True), *zip(stock, all_four, strict=True)]:
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_early_mmpretrain_files_match_mmpretrain_outputs(tmp_path):
    """Its names of version 1: a norm without a number, and masks next to the attention."""
    theirs = randomise(PROJECTS['mmpretrain'].build())
    content = {
        f'backbone.{n.replace("norm3", "norm")}': t for n, t in dict(theirs.state_dict()).items()
    }
    content |= {
        'backbone.stages.0.blocks.1.attn.attn_mask': torch.zeros(64, 49, 49),
        'head.fc.weight': torch.zeros(5, 128),
    }
    path = saved(tmp_path, dict(state_dict=content))
    ours = SwinGAB(**OURS, gab_cfg=None)
    load(ours, path)
    model = dict(
        type='ImageClassifier',
        backbone=dict(type='SwinTransformer', pad_small_map=True, arch=PRETRAIN_ARCH),
    )
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        stock = mmpretrain.registry.MODELS.build(model)
    stock.load_state_dict(dict(content), strict=False)
    expected = last_map(stock.backbone, (97, 131))
    torch.testing.assert_close(last_map(ours, (97, 131)), expected, atol=1e-5, rtol=1e-5)
    back, left = export(Contents.of(content, 'x'), 'timm')
    assert left == []
    assert 'norm.weight' in back


def test_numbered_norm_takes_precedence(tmp_path):
    """A backbone with an additional norm next to the output norms."""
    swin = SwinGAB(**OURS, out_indices=(3,)).state_dict()
    content = {**swin, 'norm.weight': torch.zeros(2), 'norm.bias': torch.zeros(2)}
    with pytest.raises(ValueError, match=r'2 unexpected key\(s\) \(norm\.weight'):
        load(SwinGAB(**OURS), saved(tmp_path, content))
