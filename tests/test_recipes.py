"""Recipes beside the stock ones they are named after: each setting, and each parameter's decay."""

import copy
import fnmatch
import inspect
import re
from importlib import import_module
from pathlib import Path

import mmpretrain.models  # noqa: F401  registers them
import pytest
import torch
from mmdet.registry import MODELS as DET_MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS as CLS_MODELS
from mmpretrain.registry import TRANSFORMS
from mmseg.registry import MODELS as SEG_MODELS
from PIL import Image
from torchvision import transforms

from mmgab.engine import load_config
from mmgab.models import SwinGAB, ViTGAB

from .conftest import ROOT

pytestmark = pytest.mark.slow

REGISTRIES = dict(mmdet=DET_MODELS, mmseg=SEG_MODELS, mmpretrain=CLS_MODELS)
MASK_RCNN_S = ('mmdet', 'swin/mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco.py')
UPERNET = 'swin/swin-{}-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py'
# Of each of our recipes the stock one: toolbox, and path below its configs.
STOCK = {
    'mask_rcnn_swin_t_coco': ('mmdet', 'swin/mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco.py'),
    'mask_rcnn_swin_s_coco': MASK_RCNN_S,
    'mask_rcnn_swin_b_coco': MASK_RCNN_S,
    'mask_rcnn_swin_t_coco_1x': ('mmdet', 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'),
    'cascade_mask_rcnn_swin_s_coco': MASK_RCNN_S,
    'mask_rcnn_vit_s_coco': MASK_RCNN_S,
    'mask_rcnn_vit_b_coco': MASK_RCNN_S,
    'retinanet_swin_t_coco': ('mmdet', 'swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py'),
    'upernet_swin_t_ade20k': ('mmseg', UPERNET.format('tiny')),
    'upernet_swin_s_ade20k': ('mmseg', UPERNET.format('small')),
    'upernet_swin_b_ade20k': ('mmseg', UPERNET.format('base')),
    'upernet_vit_s_ade20k': ('mmseg', 'vit/vit_deit-s16_mln_upernet_8xb2-160k_ade20k-512x512.py'),
    'upernet_vit_b_ade20k': ('mmseg', 'vit/vit_vit-b16_mln_upernet_8xb2-160k_ade20k-512x512.py'),
    'swin_s_imagenet': ('mmpretrain', 'swin_transformer/swin-small_16xb64_in1k.py'),
    'vit_s_imagenet': ('mmpretrain', 'deit/deit-small_4xb256_in1k.py'),
}
# No stock recipe: from scratch on nuclei, and the paper's code, which is tested further down.
OWN = re.compile(r'.*_nuclei|vit_s_(pets|caltech101|cars|dogs)')

# What differs and why, by config and setting; everything else is equal.
NAMES = 'SwinGAB without a method is that network, its further arguments at their defaults'
DIFFERENCES = {
    '*': {
        'model.backbone.type': NAMES,
        'model.backbone.gab_cfg': NAMES,
        'model.backbone.convert_weights': 'has no effect: layouts of checkpoints are detected',
        'model.backbone.norm_cfg.requires_grad': 'the default, written out',
        'model.backbone.init_cfg.checkpoint': "the authors' file, of which the stock one is a copy",
        'model.pretrained': 'another way to say init_cfg',
        'train_dataloader.batch_sampler.*': 'resumes at the very image',
        'train_dataloader.dataset.pipeline.[01].type': 'names images that it cannot read',
        'train_dataloader.dataset.pipeline.0.backend_args': 'no argument of it, None in stock',
        'auto_scale_lr.*': 'the same batch, which stock recipes do not all say',
        'tta_pipeline.0.backend_args': 'None, the default',
        'tta_pipeline.1.transforms.*.reduce_zero_label': 'stock asks the data set, which says so',
        'optim_wrapper.paramwise_cfg.*': 'what comes of it is compared for each parameter',
    },
    'mask_rcnn_swin_b_coco': {
        'model.backbone.*': "Swin-B: no stock recipe; sizes and drop path of Swin's authors",
        'model.neck.in_channels': 'Swin-B',
    },
    'cascade_mask_rcnn_swin_s_coco': {
        'model.rpn_head.loss_bbox.*': "of the cascade's base, as Swin's authors have it",
        'model.type': 'a cascade: no stock recipe with a Swin; all but the model is compared',
        'model.roi_head.*': 'a cascade',
        'model.train_cfg.*': 'a cascade',
    },
    'mask_rcnn_vit_[sb]_coco': {
        'model.backbone.*': 'a plain ViT: no stock recipe; schedule and data of the Swins',
        'model.neck.*': 'a pyramid from one map',
        'model.data_preprocessor.mean': 'of the images that the weights were trained with',
        'model.data_preprocessor.std': 'of the images that the weights were trained with',
    },
    'upernet_vit_[sb]_ade20k': {
        'model.backbone.*': "timm's vit_relpos: relative positions, no class token",
        'model.neck*': 'a pyramid from the last map in place of four layers',
        'model.*_head.in_channels': 'of that pyramid',
        'model.auxiliary_head.in_index': 'the level of 16 pixels, as for the Swins',
        'model.data_preprocessor.mean': 'of the images that the weights were trained with',
        'model.data_preprocessor.std': 'of the images that the weights were trained with',
        'model.test_cfg.*': "as mmseg's MAE and BEiT, which have relative positions too",
    },
    'swin_s_imagenet': {
        'model.backbone.*': 'the same network by sizes and not by a name; see test_single_window',
        'model.init_cfg.*': 'the backbone draws its own weights alike',
        'model.head.init_cfg*': 'what init_cfg of the model does there',
    },
    'vit_s_imagenet': {
        'model.backbone.*': "timm's vit_relpos, and DeiT's drop path of 0.1",
        'model.neck*': "mean, then norm, as timm's vit_relpos",
        'model.head.type': 'of a mean, not of a class token',
        'model.head.cal_acc': 'the default',
        'model.init_cfg.*': 'the backbone draws its own weights alike',
        'model.head.init_cfg*': 'what init_cfg of the model does there',
        'data_preprocessor.mean': "as timm's weights, in whose place its checkpoints are used",
        'data_preprocessor.std': "as timm's weights, in whose place its checkpoints are used",
        'train_dataloader.batch_size': 'with --auto-scale-lr, which has the same base batch',
    },
}
SECTIONS = ('model', 'data_preprocessor', 'train_dataloader', 'val_dataloader', 'test_dataloader',
            'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_cfg', 'test_cfg', 'val_evaluator',
            'test_evaluator', 'auto_scale_lr', 'tta_pipeline', 'tta_model')  # fmt: skip


def stock(name):
    toolbox, path = STOCK[name]
    folder = Path(import_module(toolbox).__file__).parent / '.mim' / 'configs'
    return Config.fromfile(folder / path)


def ours(name):
    return load_config(str(ROOT / 'configs' / f'{name}.py'))


def flat(value, place=''):
    """Settings by their places; lists of settings by number, other lists as they are."""
    if isinstance(value, dict):
        parts = ((key, one) for key, one in value.items() if key != '_scope_')
    elif isinstance(value, (list, tuple)) and any(isinstance(v, (dict, list)) for v in value):
        parts = enumerate(value)
    else:
        return {place: tuple(value) if isinstance(value, list) else value}
    found = {}
    for key, one in parts:
        found |= flat(one, f'{place}.{key}' if place else str(key))
    return found


def backbone_class(config):
    kind = config.model.backbone.type
    known = {'mmgab.SwinGAB': SwinGAB, 'mmgab.ViTGAB': ViTGAB}
    return known.get(kind) or REGISTRIES[config.default_scope].get(kind)


def settings(config, written_out):
    """All that trains and tests, with defaults of the backbone written out."""
    content = {key: value for key, value in config.to_dict().items() if key in SECTIONS}
    if config.default_scope == 'mmseg':
        content.pop('data_preprocessor', None)  # the model has it
    parameters = inspect.signature(backbone_class(config)).parameters
    defaults = {key: parameters[key].default for key in written_out}
    content['model']['backbone'] = defaults | content['model']['backbone']
    return flat(content)


def differing(name):
    configs = ours(name), stock(name)
    arguments = [inspect.signature(backbone_class(config)).parameters for config in configs]
    shared = arguments[0].keys() & arguments[1].keys()
    mine, theirs = (settings(config, shared) for config in configs)
    absent = object()
    every = sorted(mine.keys() | theirs.keys())
    return [key for key in every if mine.get(key, absent) != theirs.get(key, absent)]


def excuses(name):
    return [key for pattern, keys in DIFFERENCES.items() if fnmatch.fnmatchcase(name, pattern)
            for key in keys]  # fmt: skip


@pytest.mark.parametrize('name', STOCK)
def test_recipe_differs_from_stock_only_as_listed(name):
    found, listed = differing(name), excuses(name)
    assert [key for key in found if not any(fnmatch.fnmatchcase(key, e) for e in listed)] == []
    own = [e for e in listed if e not in DIFFERENCES['*']]
    assert [e for e in own if not fnmatch.filter(found, e)] == []  # no excuse without a difference


def test_every_config_has_a_stock_recipe_or_is_exempt():
    names = {path.stem.replace('_gab_', '_') for path in (ROOT / 'configs').glob('*.py')}
    assert {name for name in names if not OWN.fullmatch(name)} == set(STOCK)


def optimised(config):
    """Learning rate, decay and momentum of every parameter, by name."""
    model = copy.deepcopy(config.model)
    thin(model)
    if 'data_preprocessor' in config and config.default_scope == 'mmpretrain':
        model.data_preprocessor = config.data_preprocessor
    with DefaultScope.overwrite_default_scope(config.default_scope):
        built = REGISTRIES[config.default_scope].build(model)
        wrapper = dict(config.optim_wrapper, type='OptimWrapper')
        wrapper.pop('loss_scale', None)
        optimizer = build_optim_wrapper(built, wrapper).optimizer
    names = {id(parameter): name for name, parameter in built.named_parameters()}
    keys = ('lr', 'weight_decay', 'momentum', 'betas', 'nesterov')
    return type(optimizer), {
        names[id(parameter)]: tuple(group.get(key) for key in keys)
        for group in optimizer.param_groups
        for parameter in group['params']
    }


def thin(model):
    """One block a stage: all kinds of parameters are there."""
    model.pop('pretrained', None)
    backbone = model.backbone
    backbone.pop('init_cfg', None)
    if backbone.type == 'VisionTransformer' and 'arch' not in backbone:
        backbone.num_layers = 12
    elif backbone.get('arch') == 'small':
        backbone.arch = dict(embed_dims=96, depths=[1, 1, 1, 1], num_heads=[3, 6, 12, 24])
    elif 'depths' in backbone:
        backbone.depths = (1, 1, 1, 1)
    elif backbone.type == 'mmgab.ViTGAB':
        backbone.update(depth=2, out_indices=(1,))
        backbone.pop('global_blocks', None)


FAMILIES = ('mask_rcnn_swin_t_coco', 'mask_rcnn_swin_t_coco_1x', 'cascade_mask_rcnn_swin_s_coco',
            'retinanet_swin_t_coco', 'upernet_swin_s_ade20k', 'upernet_vit_s_ade20k',
            'mask_rcnn_vit_s_coco', 'swin_s_imagenet', 'vit_s_imagenet')  # fmt: skip
METHODS = ('.gaussian.', '.local.', '.broadcast.')


@pytest.mark.parametrize('name', FAMILIES)
def test_every_parameter_has_the_rate_and_decay_of_the_stock_recipe(name):
    kind, mine = optimised(ours(name))
    their_kind, theirs = optimised(stock(name))
    assert kind is their_kind
    shared = mine.keys() & theirs.keys()
    assert {key: (mine[key], theirs[key]) for key in shared if mine[key] != theirs[key]} == {}
    if 'swin' in name and not name.startswith('cascade'):
        assert mine.keys() == theirs.keys()
    heads = {key for key in mine if re.match(r'(decode_|auxiliary_|rpn_|roi_)?head', key)}
    if not name.startswith(('cascade', 'vit')):
        assert heads <= shared


@pytest.mark.parametrize('name', FAMILIES)
def test_methods_add_parameters_that_are_not_decayed_and_change_no_other(name):
    gab = ours(re.sub(r'_(coco|ade20k|imagenet)', r'_gab_\1', name))
    gab.model.backbone.cb_cfg = dict(type='CBS')
    gab.model.backbone.gpsa_cfg = dict()
    _, plain = optimised(ours(name))
    _, mine = optimised(gab)
    added = mine.keys() - plain.keys()
    assert all(any(part in key for part in METHODS) for key in added)
    assert {part for part in METHODS if any(part in key for key in added)} == set(METHODS)
    assert {mine[key][1] for key in added} == {0.0}
    assert {key: mine[key] for key in plain} == plain


def test_weight_decay_of_head_and_pyramid_norms():
    _, cascade = optimised(ours('cascade_mask_rcnn_swin_s_coco'))
    norms = [v for key, v in cascade.items() if re.search(r'shared_convs\.\d\.bn\.', key)]
    assert len(norms) == 3 * 4 * 2
    assert {decay for _, decay, *_ in norms} == {0.05}
    _, vit = optimised(ours('upernet_vit_s_ade20k'))
    assert {v[1] for key, v in vit.items() if key.startswith('decode_head')} == {0.01}
    pyramid = {k: v[1] for k, v in vit.items() if k.startswith('neck.')}
    assert set(pyramid.values()) == {0.0, 0.01}
    model = SEG_MODELS.build(ours('upernet_vit_s_ade20k').model.neck)
    for key, decay in pyramid.items():
        is_norm = isinstance(model.get_submodule(key[5:].rpartition('.')[0]), torch.nn.LayerNorm)
        assert decay == (0.0 if is_norm else 0.01)


def test_upernet_with_a_plain_vit_is_tested_as_mmsegs_mae():
    path = 'mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512.py'
    folder = Path(import_module('mmseg').__file__).parent / '.mim' / 'configs'
    theirs = Config.fromfile(folder / path).model.test_cfg
    for name in ('upernet_vit_s_gab_ade20k', 'upernet_vit_b_ade20k'):
        assert ours(name).model.test_cfg == theirs


@pytest.mark.parametrize('path', sorted((ROOT / 'configs').glob('*vit*.py')), ids=lambda p: p.stem)
def test_images_of_a_vit_are_normalised_as_those_of_its_weights(path):
    import timm

    config = ours(path.stem)
    init_cfg = config.model.backbone.get('init_cfg')
    if init_cfg is None or re.search('pets|caltech101|cars|dogs', path.stem):
        return  # from scratch, or as the paper's code
    known = timm.get_pretrained_cfg(init_cfg.checkpoint.removeprefix('timm://'))
    preprocessor = config.model.data_preprocessor
    for key in ('mean', 'std'):
        assert preprocessor[key] == [255 * value for value in getattr(known, key)]


# The paper's code for small sets, as released: its transforms, optimizer and schedule.
TRAIN = transforms.Compose([
    transforms.RandomResizedCrop(size=256, scale=(0.8, 1.0)),
    transforms.RandomRotation(degrees=15),
    transforms.ColorJitter(0.4, 0.4, 0.4),
    transforms.RandomHorizontalFlip(),
    transforms.CenterCrop(size=224),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])  # fmt: skip
TEST = transforms.Compose([
    transforms.Resize(size=256),
    transforms.CenterCrop(size=224),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
])  # fmt: skip


@pytest.mark.parametrize(('part', 'expected'), [('train', TRAIN), ('val', TEST), ('test', TEST)])
def test_small_sets_are_augmented_and_normalised_as_in_the_papers_code(part, expected, tmp_path):
    image = Image.effect_mandelbrot((300, 350), (-2, -1.5, 1, 1.5), 50).convert('RGB')
    image.save(tmp_path / 'image.png')
    config = ours('vit_s_gab_pets')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        steps = [TRANSFORMS.build(step) for step in config[f'{part}_dataloader'].dataset.pipeline]
        preprocess = CLS_MODELS.build(dict(type='ClsDataPreprocessor', **config.data_preprocessor))
    for seed in range(4):
        torch.manual_seed(seed)
        results = dict(img_path=str(tmp_path / 'image.png'), gt_label=0)
        for step in steps:
            results = step(results)
        found = preprocess(dict(inputs=results['inputs'][None]))['inputs'][0]
        torch.manual_seed(seed)
        torch.testing.assert_close(found, expected(image), rtol=0, atol=1e-5)


def test_small_sets_are_trained_with_the_papers_optimizer_and_schedule():
    config = ours('vit_s_gab_pets')
    kind, mine = optimised(config)
    assert kind is torch.optim.SGD
    assert {v[0] for v in mine.values()} == {0.01}
    assert {v[2] for v in mine.values()} == {0.9}
    for key, (_, decay, *_) in mine.items():
        assert decay == (0.0 if '.gaussian.' in key else 5e-4)
    (scheduler,) = config.param_scheduler
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizers = [torch.optim.SGD([parameter], lr=0.01) for _ in range(2)]
    expected = torch.optim.lr_scheduler.CosineAnnealingLR(optimizers[0], T_max=200)
    arguments = {key: value for key, value in scheduler.items() if key != 'type'}
    from mmengine.optim import CosineAnnealingLR

    assert 'convert_to_iter_based' not in arguments  # from epoch to epoch
    found = CosineAnnealingLR(optimizers[1], **arguments)
    for _ in range(200):
        rates = [optimizer.param_groups[0]['lr'] for optimizer in optimizers]
        assert rates[1] == pytest.approx(rates[0], abs=1e-9)
        for one, optimizer in zip((expected, found), optimizers, strict=True):
            optimizer.step()
            one.step()
    assert (config.train_cfg.max_epochs, config.train_dataloader.batch_size) == (200, 64)
