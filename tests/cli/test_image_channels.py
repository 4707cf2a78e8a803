"""Export, receptive fields, attention and report of networks with any number of channels."""

import json

import numpy as np
import pytest
import tifffile
import timm
import torch
from mmdet.models import ResNet, SwinTransformer
from mmengine.config import Config
from mmengine.model import ImgDataPreprocessor
from PIL import Image
from torch import nn

from mmgab.analysis.erf import load_erf
from mmgab.analysis.image_channels import image_channels
from mmgab.datasets.image_steps import image_steps
from mmgab.engine import build_model, load_config
from mmgab.inspection.erf_images import batches, chosen_images
from mmgab.inspection.erf_subject import Target, build_subject, prepare_image
from mmgab.models import SwinGAB, ViTGAB

from ..conftest import ROOT
from .runs import call

pytestmark = pytest.mark.slow

SIDE = 64  # pixels of an image side
# File format and loader of images, by the number of channels.
KINDS = {
    1: ('png', dict(color_type='grayscale')),
    4: ('png', dict(color_type='unchanged')),
    7: ('tif', dict(imdecode_backend='tifffile')),
}
SWIN = """dict(in_channels={0}, embed_dims=16, depths=(1, 1), num_heads=(1, 2), strides=(4, 2),
                    out_indices=(0, 1), window_size=4, drop_path_rate=0.)"""
VIT = """dict(_delete_=True, type='mmgab.ViTGAB', in_channels={0}, img_size=64, patch_size=8,
             embed_dims=16, depth=2, num_heads=2, out_indices=(0, 1), gab_cfg=dict())"""
CONFIG = """
_base_ = '{root}/configs/upernet_swin_gab_nuclei.py'
_steps = [dict(type='LoadImageFromFile', **{loader}), dict(type='LoadAnnotations'),
          dict(type='PackSegInputs')]
model = dict(
    data_preprocessor=dict(mean=[110.0], std=[58.0], bgr_to_rgb=False),
    backbone={backbone},
    decode_head=dict(in_channels={widths}, in_index=[0, 1], channels=8, pool_scales=(1,)),
    auxiliary_head=None)
train_dataloader = dict(dataset=dict(data_root='{data}', img_suffix='.{suffix}', pipeline=_steps))
val_dataloader = dict(dataset=dict(data_root='{data}', img_suffix='.{suffix}', pipeline=_steps))
test_dataloader = val_dataloader
"""


def write_images(folder, channels, suffix):
    draw = np.random.default_rng(0)
    for kind in ('images', 'labels'):
        (folder / kind / 'val').mkdir(parents=True)
    for name in 'ab':
        array = draw.integers(0, 255, (SIDE, SIDE + 9, channels)).astype(np.uint8)
        file = folder / 'images' / 'val' / f'{name}.{suffix}'
        if suffix == 'tif':  # 16-bit bands, as in satellite images
            tifffile.imwrite(file, array.astype(np.uint16) * 100, photometric='minisblack',
                             planarconfig='contig')  # fmt: skip
        else:
            Image.fromarray(array.squeeze()).save(file)
        Image.fromarray(array[..., 0] // 128).save(folder / 'labels' / 'val' / f'{name}.png')


@pytest.fixture(scope='module')
def subject(tmp_path_factory):
    """Make a segmentor for each number of channels: config, checkpoint and folder of images."""
    made = {}

    def make(channels, backbone=SWIN):
        if (channels, backbone) not in made:
            folder = tmp_path_factory.mktemp(f'channels{channels}')
            suffix, loader = KINDS[channels]
            write_images(folder, channels, suffix)
            config = folder / 'config.py'
            widths = [16, 32] if backbone is SWIN else [16, 16]
            config.write_text(CONFIG.format(
                root=ROOT, data=folder, suffix=suffix, loader=loader, widths=widths,
                backbone=backbone.format(channels),
            ))  # fmt: skip
            model = build_model(load_config(str(config)))
            model.init_weights()
            torch.save(dict(state_dict=model.state_dict()), folder / 'model.pth')
            made[channels, backbone] = config, folder / 'model.pth', folder / 'images' / 'val'
        return made[channels, backbone]

    return make


@pytest.fixture
def tool(capsys, monkeypatch):
    def run(name, *words):
        code, output = call(f'tools/{name}.py', words, capsys, monkeypatch)
        assert code == 0, output
        return output

    return run


@pytest.mark.parametrize(('channels', 'backbone'), [(1, SWIN), (4, VIT)], ids=['1-swin', '4-vit'])
def test_export_uses_the_number_of_input_channels(channels, backbone, subject, tool, tmp_path):
    config, checkpoint, _ = subject(channels, backbone)
    words = (config, checkpoint, '--size', SIDE, SIDE, '--out', tmp_path / 'x.pt2')
    assert f'images 3x{channels}x{SIDE}x{SIDE}: largest' in tool('deployment/export', *words)
    graph = torch.export.load(tmp_path / 'x.pt2').module()
    assert graph(torch.randn(2, channels, SIDE, SIDE))[0].shape[:2] == (2, 2)


def test_erf_is_measured_on_grayscale_images(subject, tool, tmp_path):
    config, checkpoint, _ = subject(1)
    words = ('--images', 'val', '--size', 40, 48, '--bootstrap', 0, '--out', tmp_path / 'erf')
    layer = ('--layer', 'backbone.stages.0')
    tool('analysis_tools/erf', config, checkpoint, *words, *layer)
    fields, _ = load_erf(tmp_path / 'erf.npz')
    assert (fields.size, fields.sums[0].count, fields.refused) == ((40, 48), 2, {})


@pytest.mark.parametrize('channels', [1, 4, 7])
def test_erf_images_equal_those_of_the_config_pipeline(channels, subject):
    config, checkpoint, folder = subject(channels)
    whole = build_subject(Target(str(config), str(checkpoint), size=(SIDE, SIDE)))
    found = {}
    for images in ('val', str(folder), 'noise'):
        sources = chosen_images(images, 2, 0, whole)
        refused = {}
        ((_, found[images]),) = batches(sources, 2, refused)
        assert refused == {}
        assert found[images].shape == (2, channels, SIDE, SIDE)
        assert whole.features(found[images]).shape[0] == 2
    torch.testing.assert_close(found['val'], found[str(folder)])
    assert found['val'].std() > 0.5  # 16-bit values are not clipped to 8 bits


def test_attention_uses_the_config_pipeline(subject, tool, tmp_path):
    config, checkpoint, folder = subject(4)
    for images in ('noise', folder):
        words = ('--images', images, '--num', 1, '--size', SIDE, SIDE, '--out', tmp_path / 'seen')
        tool('analysis_tools/attention_maps', config, checkpoint, *words)
        assert len(json.loads((tmp_path / 'seen.json').read_text())) == 2


def test_report_has_receptive_fields_of_grayscale_images(subject, tool, tmp_path):
    config, checkpoint, _ = subject(1)
    start = tmp_path / 'run' / '20260101_000000' / 'vis_data'
    start.mkdir(parents=True)
    load_config(str(config)).dump(start / 'config.py')
    (start / 'scalars.json').write_text('{"iter": 1, "loss": 2.0, "lr": 0.1, "step": 1}\n')
    (tmp_path / 'run' / 'iter_1.pth').write_bytes(checkpoint.read_bytes())
    words = ('--run-config', '--num', 1, '--size', SIDE, SIDE, '-o', tmp_path / 'out.html')
    tool('analysis_tools/report', tmp_path / 'run', *words)
    page = (tmp_path / 'out.html').read_text()
    assert 'Receptive field of the central unit of the last feature map. At the start: r50 ' in page
    assert ' After training: r50 ' in page
    assert 'class="failed"' not in page


@pytest.mark.parametrize(
    ('network', 'channels'),
    [
        (lambda: SwinGAB(in_channels=5, embed_dims=16, depths=(1,), num_heads=(1,), strides=(4,),
                         out_indices=(0,)), 5),
        (lambda: ViTGAB(in_channels=2, embed_dims=16, depth=1, num_heads=1, out_indices=(0,)), 2),
        (lambda: SwinTransformer(in_channels=1, embed_dims=16, depths=(1,), num_heads=(1,),
                                 strides=(4,), out_indices=(0,)), 1),
        (lambda: ResNet(18, in_channels=6), 6),
        (lambda: timm.create_model('resnet18', in_chans=4), 4),
        (lambda: timm.create_model('vit_tiny_patch16_224', in_chans=1), 1),
    ],
    ids=['SwinGAB', 'ViTGAB', 'mmdet-swin', 'mmdet-resnet', 'timm-resnet', 'timm-vit'],
)  # fmt: skip
def test_image_channels_are_those_of_the_first_projection(network, channels):
    network = network()
    assert image_channels(network) == channels
    whole = nn.Module()  # its own layers come first, as a neck may
    whole.neck, whole.backbone = nn.Conv2d(99, 1, 1), network
    assert image_channels(whole) == channels


def test_network_without_convolution_raises():
    with pytest.raises(ValueError, match='Linear has no convolution'):
        image_channels(nn.Linear(2, 2))


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int32', 'float64', 'bool'])
@pytest.mark.parametrize('shape', [(50, 70), (50, 70, 1), (9, 12, 3), (80, 90, 4), (80, 90, 13)])
def test_prepare_image_supports_any_dtype_and_channels(shape, dtype):
    image = np.ones(shape, dtype)
    channels = 1 if len(shape) == 2 else shape[2]
    preprocess = ImgDataPreprocessor(mean=[0.5], std=[0.5], pad_size_divisor=32)
    prepared = prepare_image(image, (40, 33), preprocess)
    assert prepared.shape == (channels, 40, 33)
    torch.testing.assert_close(prepared, torch.ones(channels, 40, 33))


def test_config_without_test_pipeline_uses_the_mmcv_loader():
    loader = [dict(type='LoadImageFromFile')]
    assert image_steps(None) == loader
    assert image_steps(Config(dict(val_dataloader=None))) == loader


@pytest.mark.parametrize('label', ['LoadAnnotations', 'mmdet.LoadPanopticAnnotations',
                                   'mmgab.LoadSegmentation', 'LoadProposals'])  # fmt: skip
def test_image_steps_exclude_label_loading(label):
    steps = [dict(type='LoadImageFromFile'), dict(type=label), dict(type='PackDetInputs')]
    dataset = dict(type='RepeatDataset', dataset=dict(type='CocoDataset', pipeline=steps))
    found = image_steps(Config(dict(test_dataloader=dict(dataset=dataset))))
    assert [step['type'] for step in found] == ['LoadImageFromFile', 'PackDetInputs']
