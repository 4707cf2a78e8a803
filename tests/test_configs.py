"""Configs load, build, learn, document themselves, and differ from their baseline by one key."""

import copy
import functools
import re
from pathlib import Path

import mmpretrain.models  # noqa: F401  registers them
import pytest
import torch
import yaml
from mmdet.registry import MODELS as DET_MODELS
from mmdet.testing import demo_mm_inputs
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmpretrain.registry import MODELS as CLS_MODELS
from mmpretrain.structures import DataSample
from mmseg.registry import MODELS as SEG_MODELS
from mmseg.structures import SegDataSample

from mmgab.engine import load_config
from mmgab.models import SwinGAB, ViTGAB

from .conftest import ROOT

PATHS = sorted((ROOT / 'configs').glob('*.py'))
WITH_GAUSSIAN = [path for path in PATHS if '_gab_' in path.stem]
# Baselines: their counterparts have the same tensors, and two more in each layer.
PLAIN = {path.stem.replace('_gab_', '_') for path in WITH_GAUSSIAN}
WHOLE = [path for path in PATHS if path.stem not in PLAIN]
every_config = pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
every_pair = pytest.mark.parametrize('path', WITH_GAUSSIAN, ids=lambda path: path.stem)

SMALL_SETS = dict(pets=37, caltech101=102, cars=196, dogs=120)  # classes


@functools.cache
def loaded(path):
    return load_config(str(path))


def load(path):
    """A config of one's own: it may be changed."""
    return copy.deepcopy(loaded(path))


def registry(config):
    return dict(mmdet=DET_MODELS, mmseg=SEG_MODELS, mmpretrain=CLS_MODELS)[config.default_scope]


def build(config):
    model = copy.deepcopy(config.model)
    if config.default_scope == 'mmpretrain':  # its configs have it beside the model
        model.data_preprocessor = config.data_preprocessor
    with DefaultScope.overwrite_default_scope(config.default_scope):
        return registry(config).build(model)


def shrunk(config):
    """The same model with a width of 16 and a few blocks, on the CPU."""
    model = config.model
    channels = (shrink_vit if model.backbone.type == 'mmgab.ViTGAB' else shrink_swin)(model)
    if 'head' in model:
        model.head.in_channels = channels[-1]
        if 'in_channels' in model.neck:
            model.neck.in_channels = channels[-1]
    if 'decode_head' in model:
        model.decode_head.norm_cfg = model.auxiliary_head.norm_cfg = dict(type='BN')
    for head in model.get('roi_head', {}).get('bbox_head', []):
        if isinstance(head, dict):  # the stages of a cascade
            head.norm_cfg.type = 'BN'
    regions = model.get('train_cfg', {}).get('rcnn', [])
    for stage in regions if isinstance(regions, list) else [regions]:
        stage.sampler.num = 32
    return config


def shrink_swin(model):
    first = min(model.backbone.get('out_indices', (0,)))
    channels = [16 * 2**i for i in range(4)]
    model.backbone.update(
        embed_dims=16, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8), drop_path_rate=0.0
    )
    if 'head' not in model and 'neck' in model:
        model.neck.in_channels = channels[first:]
    if 'decode_head' in model:
        model.decode_head.in_channels = channels
        model.auxiliary_head.in_channels = channels[2]
    return channels


def shrink_vit(model):
    backbone = model.backbone
    backbone.update(embed_dims=16, depth=2, num_heads=2, out_indices=(1,), drop_path_rate=0.0)
    backbone.patch_size = 8
    if 'window_size' in backbone:
        backbone.global_blocks = (1,)
    if 'head' not in model:
        model.neck.in_channels = 16
    return [16]


def loss(config, model):
    """Loss of one batch of two synthetic images of a size that is no multiple of a window."""
    if config.default_scope == 'mmpretrain':
        samples = [DataSample().set_gt_label(label) for label in (0, 1)]
        data = dict(inputs=[torch.randint(0, 256, (3, 90, 130))] * 2, data_samples=samples)
    elif config.default_scope == 'mmdet':
        classes = model.roi_head.mask_head if hasattr(model, 'roi_head') else model.bbox_head
        classes = classes[0] if isinstance(classes, torch.nn.ModuleList) else classes
        shapes = [[3, 90, 130]] * 2
        data = demo_mm_inputs(2, shapes, num_items=[4, 2], num_classes=81, with_mask=True)
        for sample in data['data_samples']:
            sample.gt_instances.labels %= classes.num_classes
    else:
        labels = torch.randint(0, model.decode_head.num_classes, (2, 1, 96, 96))
        samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
        images = [torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8) for _ in samples]
        model.data_preprocessor.size = (96, 96)
        data = dict(inputs=images, data_samples=samples)
    with DefaultScope.overwrite_default_scope(config.default_scope):
        total, _ = model.parse_losses(model(**model.data_preprocessor(data, True), mode='loss'))
    return total


@pytest.mark.slow
@pytest.mark.parametrize('path', WHOLE, ids=lambda path: path.stem)
def test_it_builds_at_full_size_with_one_of_our_backbones(path):
    with torch.device('meta'):
        model = build(load(path))
    assert type(model.backbone) is (ViTGAB if 'vit' in path.stem else SwinGAB)


def of_each_kind(paths):
    """Configs whose shrunk models differ: sizes of a backbone are one size when they are small."""
    kinds = {}
    for path in paths:
        config = shrunk(load(path))
        config.model.backbone.pop('init_cfg', None)
        kind = re.sub(r"'num_classes': \d+", '', str(config.model.to_dict()))
        kinds.setdefault(kind, path)
    return list(kinds.values())


@pytest.mark.slow
@pytest.mark.parametrize('path', of_each_kind(WHOLE), ids=lambda path: path.stem)
def test_every_parameter_of_the_shrunk_model_trains(path):
    """Also what distributed training demands: no parameter without a gradient."""
    config = shrunk(load(path))
    model = build(config).train()
    total = loss(config, model)
    assert total.isfinite()
    total.backward()
    unused = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []


@every_pair
def test_baseline_config_differs_only_in_the_gaussian(path):
    baseline = path.with_stem(path.stem.replace('_gab_', '_'))
    ours, theirs = load(path).to_dict(), load(baseline).to_dict()
    assert ours['model']['backbone'].pop('gab_cfg') == dict(
        amplitude=1.0, sigma=5.0, per_head=False
    )
    assert theirs['model']['backbone'].pop('gab_cfg') is None
    assert {**ours, 'work_dir': ''} == {**theirs, 'work_dir': ''}


def undecayed(config):
    """Names of the parameters without weight decay, their numbers folded."""
    model = build(shrunk(config))
    optim_wrapper = {**config.optim_wrapper, 'type': 'OptimWrapper'}
    for key in ('loss_scale', 'dtype'):
        optim_wrapper.pop(key, None)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build_optim_wrapper(model, optim_wrapper).optimizer.param_groups
    folded = {}
    for group in groups:
        for parameter in group['params']:
            name = names[id(parameter)]
            if not name.startswith('neck.levels.'):  # whose numbers are kinds of layers
                name = re.sub(r'(?<=\.)\d+(?=\.)|(?<=norm)\d', '*', name)
            folded.setdefault(name, set()).add(group['weight_decay'])
    assert all(len(decays) == 1 for decays in folded.values())
    return {name for name, decays in folded.items() if decays == {0.0}}


BACKBONE_UNDECAYED = {
    f'backbone.{name}'
    for name in (
        'patch_embed.norm.weight',
        'patch_embed.norm.bias',
        'stages.*.blocks.*.norm*.weight',
        'stages.*.blocks.*.norm*.bias',
        'stages.*.blocks.*.attn.w_msa.relative_position_bias_table',
        'stages.*.blocks.*.attn.w_msa.gaussian.amplitude',
        'stages.*.blocks.*.attn.w_msa.gaussian.sigma',
        'stages.*.downsample.norm.weight',
        'stages.*.downsample.norm.bias',
        'norm*.weight',
        'norm*.bias',
    )
}
GAUSSIANS = {name for name in BACKBONE_UNDECAYED if '.gaussian.' in name}
# As in the stock recipes: SGD decays all, AdamW all but the backbone's norms and tables.
UNDECAYED = {
    'mask_rcnn_swin_s_gab_coco': BACKBONE_UNDECAYED,
    'retinanet_swin_t_gab_coco': GAUSSIANS,
    'upernet_swin_s_gab_ade20k': BACKBONE_UNDECAYED,
}


@pytest.mark.parametrize('name', UNDECAYED)
def test_norms_tables_amplitude_and_sigma_are_not_decayed_and_nothing_else(name):
    config = load(ROOT / 'configs' / f'{name}.py')
    assert undecayed(config) == UNDECAYED[name]


def test_of_a_plain_vit_norms_positions_and_factors_are_not_decayed_either():
    config = load(ROOT / 'configs' / 'mask_rcnn_vit_s_gab_coco.py')
    config.model.backbone.update(use_abs_pos_embed=True, rel_pos_cfg=dict(type='table'))
    found = {name for name in undecayed(config) if name.startswith('backbone.')}
    block = 'backbone.blocks.*'
    assert found == {
        'backbone.pos_embed',
        'backbone.norm.weight',
        'backbone.norm.bias',
        *(f'{block}.norm*.{name}' for name in ('weight', 'bias')),
        *(f'{block}.attn.gaussian.{name}' for name in ('amplitude', 'sigma')),
        f'{block}.attn.rel_pos.relative_position_bias_table',
        f'{block}.ls1.gamma',
        f'{block}.ls2.gamma',
    }


def note_of(path):
    return path.read_text().split('"""')[1]


@every_config
def test_config_comment_lists_its_commands(path):
    assert f'configs/{path.name}' in note_of(path)


@every_pair
def test_config_comment_documents_the_run(path):
    """Hardware, time, baseline, and a score with its source, or a statement that there is none."""
    note = note_of(path)
    for heading in ('Hardware', 'Time', 'Score'):
        assert f'\n{heading} ' in note
    assert f'Baseline  {path.stem.replace("_gab_", "_")}' in note
    score = ' '.join(note.split('\nScore')[1].split())
    if 'nuclei' in path.stem:
        assert 'measured with these commands' in score
    elif re.search(r'\d\d\.\d|\d\.\d\d', score) and 'not run here' not in score:
        assert 'reported by' in score
        assert re.search(r'(?i)not re-run here|neither is re-run here', score)
    else:
        assert re.search(r'none reported.* not run here', score)


@every_config
def test_data_of_the_heads_and_of_the_dataset_have_as_many_classes(path):
    config = load(path)
    dataset = config.train_dataloader.dataset
    classes = SMALL_SETS.get(path.stem.split('_')[-1])
    classes = classes or {'CocoDataset': 80, 'ADE20KDataset': 150, 'ImageNet': 1000}.get(
        dataset.type
    )
    classes = len(dataset.metainfo.classes) if 'metainfo' in dataset else classes
    found = re.findall(r"'num_classes': (\d+)", str(config.model.to_dict()))
    assert found
    assert {int(number) for number in found} == {classes}


def test_the_index_for_mim_names_every_config():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    assert index['Import'] == ['configs/metafile.yml']
    models = yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())['Models']
    assert {model['Config'] for model in models} == {f'configs/{path.name}' for path in PATHS}
    assert all(Path(model['Config']).stem == model['Name'] for model in models)
