"""SwinGAB beside the real SwinTransformer of MMDetection and of MMSegmentation."""

import copy
import inspect
from pathlib import Path

import mmdet
import mmdet.registry
import mmseg
import mmseg.registry
import pytest
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.models.backbones.swin import SwinTransformer as SegSwin
from mmseg.structures import SegDataSample

from mmgab.functional import relative_position_index
from mmgab.models import SwinGAB

STOCK = [DetSwin, SegSwin]
SIZES = [(97, 131), (224, 224), (30, 250)]  # 97, 131, 30, 250: no multiple of patch or window


def with_lively_weights(model):
    """Weights at which attention matters: at the initial ones, mistakes hardly show."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if 'gaussian' in name:
                continue
            is_matrix = parameter.ndim > 1 and 'table' not in name
            parameter.normal_(std=parameter[0].numel() ** -0.5 if is_matrix else 1.0)
    model.train(False)
    return model


def outputs(model, size):
    torch.manual_seed(3)
    with torch.no_grad():
        return model(torch.randn(2, 3, *size))


@pytest.mark.parametrize('stock', STOCK)
@pytest.mark.parametrize('size', SIZES)
def test_baseline_equals_stock_swin(stock, size, small_swin):
    """Without a Gaussian: the stock network's outputs, from its own state dict, loaded strictly."""
    theirs = with_lively_weights(stock(**small_swin))
    ours = SwinGAB(**small_swin, gab_cfg=None).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    for a, b in zip(outputs(ours, size), outputs(theirs, size), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


OPTIONS = {
    'position embedding': dict(use_abs_pos_embed=True, pretrain_img_size=(60, 92)),
    'no patch norm': dict(patch_norm=False),
    'no qkv bias': dict(qkv_bias=False),
    'own scale': dict(qk_scale=0.7),
    'wide': dict(mlp_ratio=2),
    'ReLU': dict(act_cfg=dict(type='ReLU')),
    'large patches': dict(patch_size=2, strides=(2, 2, 2, 2)),
    'strides': dict(strides=(4, 2, 1, 2)),
    'stride of a pair': dict(strides=(4, 2, 2, (2, 1))),
    'three stages, default lists': dict(
        embed_dims=24, depths=(2, 2, 2), num_heads=(3, 6, 12, 24), out_indices=(0, 1, 2)
    ),
    'grey images': dict(in_channels=1),
    'two outputs': dict(out_indices=(1, 3)),
    'window of 4': dict(window_size=4),
}


@pytest.mark.parametrize('stock', STOCK)
@pytest.mark.parametrize('option', OPTIONS)
def test_every_option_matches_stock_swin(stock, option, small_swin):
    arguments = {**small_swin, **OPTIONS[option]}
    theirs = with_lively_weights(stock(**arguments))
    ours = SwinGAB(**arguments, gab_cfg=None).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = torch.randn(2, arguments.get('in_channels', 3), 60, 92)
    with torch.no_grad():
        for a, b in zip(ours(x), theirs(x), strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('stock', STOCK)
def test_arguments_match_stock_names_order_and_defaults(stock):
    ours = dict(inspect.signature(SwinGAB).parameters)
    names = ['gab_cfg', 'attn_backend', 'cb_cfg', 'gpsa_cfg', 'shift_single_window', 'attention']
    assert list(ours)[-6:] == names
    gaussian, backend, *others, single, attention = (ours.pop(name) for name in names)
    assert gaussian.default is not None
    assert backend.default == 'auto'
    assert [other.default for other in (*others, attention)] == [None, None, None]
    assert single.default is True  # as in detectors
    theirs = inspect.signature(stock).parameters
    if stock is SegSwin:  # which has one argument less
        del ours['convert_weights']
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize('stock', STOCK)
def test_baseline_equals_stock_in_training(stock, small_swin):
    """Dropout is left out: it draws for tokens in an order of ours, and for none of padding."""
    options = dict(drop_path_rate=0.3)
    theirs = with_lively_weights(stock(**small_swin, **options))
    ours = SwinGAB(**small_swin, **options, gab_cfg=None)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 97, 131)
    for model in (theirs, ours):
        model.train()
        torch.manual_seed(1)
        sum(out.square().mean() for out in model(x)).backward()
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(
            parameter.grad, gradients[name].grad, atol=1e-5, rtol=1e-4, msg=name
        )


@pytest.mark.parametrize('stock', STOCK)
def test_dropout_positions_and_rates_match_stock(stock, small_swin, monkeypatch):
    """With every dropout made to scale: then outputs tell where they are, and with which rate."""
    options = dict(drop_rate=0.1, attn_drop_rate=0.25, drop_path_rate=0.0)
    theirs = with_lively_weights(stock(**small_swin, **options))
    ours = SwinGAB(**small_swin, **options, gab_cfg=None)
    ours.load_state_dict(theirs.state_dict())
    monkeypatch.setattr(
        torch.nn.functional, 'dropout', lambda x, p, training, *_: x * (1 - p) if training else x
    )
    for is_training in (True, False):
        ours.train(is_training)
        theirs.train(is_training)
        for a, b in zip(outputs(ours, (97, 131)), outputs(theirs, (97, 131)), strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('stock', STOCK)
def test_a_gaussian_folded_into_the_table_by_hand_is_the_stock_network(stock, small_swin):
    ours = with_lively_weights(SwinGAB(**small_swin, gab_cfg=dict(amplitude=2, per_head=True)))
    folded = {}
    for name, tensor in ours.state_dict().items():
        layer = name.rpartition('.')[0]
        if name.endswith('relative_position_bias_table'):
            attention = ours.get_submodule(layer)
            side = 2 * attention.window_size[0] - 1
            axis = torch.arange(side) - side // 2
            squared = (axis[:, None] ** 2 + axis[None, :] ** 2).flatten()[:, None]
            a, sigma = attention.gaussian.amplitude, attention.gaussian.sigma
            folded[name] = tensor + (a**2 * torch.exp(-squared / (2 * sigma**2))).detach()
            index = relative_position_index(attention.window_size)
            folded[f'{layer}.relative_position_index'] = index
        elif '.gaussian.' not in name:
            folded[name] = tensor
    theirs = stock(**small_swin)
    theirs.load_state_dict(folded, strict=True)
    theirs.train(False)
    for a, b in zip(outputs(ours, (97, 131)), outputs(theirs, (97, 131)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_a_gaussian_changes_every_output(small_swin):
    plain = with_lively_weights(SwinGAB(**small_swin, gab_cfg=None))
    ours = SwinGAB(**small_swin, gab_cfg=dict(amplitude=2.0, sigma=1.0)).eval()
    ours.load_state_dict(plain.state_dict(), strict=False)
    for a, b in zip(outputs(ours, (97, 131)), outputs(plain, (97, 131)), strict=True):
        assert (a - b).abs().max() > 1e-2


def zoo_swin_configs(package):
    """Every config of a toolbox's model zoo that names a SwinTransformer itself."""
    folder = Path(package.__file__).parent / '.mim' / 'configs'
    paths = sorted(folder.glob('**/*swin*.py'))
    return [
        pytest.param(path, id=f'{package.__name__}/{path.stem}')
        for path in paths
        if '_base_' not in path.parts and 'SwinTransformer' in path.read_text()
    ]


def backbone_of(model):
    return model.detector.backbone if 'detector' in model else model.backbone


@pytest.mark.slow
@pytest.mark.parametrize('path', zoo_swin_configs(mmdet) + zoo_swin_configs(mmseg))
def test_zoo_backbones_run_with_only_the_type_changed(path):
    """The whole argument list of the zoo; only the depth of long stages is cut, to save time."""
    backbone = copy.deepcopy(backbone_of(Config.fromfile(path).model))
    backbone.update(type='mmgab.SwinGAB', init_cfg=None)
    backbone.depths = [min(depth, 2) for depth in backbone.get('depths', (2, 2, 6, 2))]
    model = mmdet.registry.MODELS.build(backbone).eval()
    outs = outputs(model, (65, 97))
    assert len(outs) == len(backbone.get('out_indices', (0, 1, 2, 3)))
    assert all(out.isfinite().all() for out in outs)


WHOLE_MODELS = [
    (mmdet, 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py'),
    (mmdet, 'dino/dino-5scale_swin-l_8xb2-12e_coco.py'),
    (mmdet, 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'),
    (mmdet, 'swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py'),
    (mmseg, 'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512.py'),
    (mmseg, 'mask2former/mask2former_swin-t_8xb2-160k_ade20k-512x512.py'),
]


@pytest.mark.slow
@pytest.mark.parametrize(('package', 'name'), WHOLE_MODELS, ids=lambda value: Path(str(value)).stem)
def test_zoo_models_build_and_predict_with_only_the_type_changed(package, name):
    """Whole detectors and segmentors at full size."""
    config = Config.fromfile(Path(package.__file__).parent / '.mim' / 'configs' / name)
    config.model.backbone.update(type='mmgab.SwinGAB', init_cfg=None)
    with DefaultScope.overwrite_default_scope(package.__name__):
        model = package.registry.MODELS.build(config.model).eval()
        assert type(model.backbone) is SwinGAB
        model.init_weights()  # some heads are made of memory as it is found
        with torch.no_grad():
            result = model(torch.randn(1, 3, 96, 128), samples_for(package), mode='predict')[0]
    scores = result.pred_instances.scores if package is mmdet else result.seg_logits.data
    assert scores.isfinite().all()


def samples_for(package):
    sample = DetDataSample if package is mmdet else SegDataSample
    shape = (96, 128)
    meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape, batch_input_shape=shape)
    return [sample(metainfo=dict(meta, scale_factor=(1.0, 1.0), img_id=0))]


def test_number_of_zoo_configs_is_plausible():
    """Guards the two tests above against a glob that finds nothing."""
    assert len(zoo_swin_configs(mmdet)) >= 15
    assert len(zoo_swin_configs(mmseg)) >= 5
