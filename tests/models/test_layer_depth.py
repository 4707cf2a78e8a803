"""Layer-wise learning rate decay, beside MMPretrain's own Swin and ViT."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpretrain.models.backbones import SwinTransformer, VisionTransformer
from mmpretrain.registry import MODELS

from mmgab.models import SwinGAB, ViTGAB

DEPTHS = (1, 2, 3, 1)
SIZES = dict(embed_dims=8, depths=DEPTHS, num_heads=(1, 2, 4, 8))
ALL = (0, 1, 2, 3)
VIT = dict(embed_dims=16, depth=3, num_heads=2, out_indices=(2,), img_size=32)
METHODS = dict(gab_cfg={}, cb_cfg=dict(type='CBS'), gpsa_cfg={})


def stock_swin():
    arch = {key: list(value) if key != 'embed_dims' else value for key, value in SIZES.items()}
    return SwinTransformer(arch, out_indices=ALL, use_abs_pos_embed=True, img_size=32)


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_swin_layer_depths_equal_mmpretrain(prefix):
    theirs = stock_swin()
    ours = SwinGAB(**SIZES, use_abs_pos_embed=True, pretrain_img_size=32, gab_cfg=None)
    names = {prefix + name for name, _ in ours.named_parameters()} | {'head.fc.weight', 'norm'}
    assert len(names) > 90
    for name in names:
        assert ours.get_layer_depth(name, prefix) == theirs.get_layer_depth(name, prefix), name
    assert {prefix + name for name, _ in theirs.named_parameters()} <= names


def test_vit_layer_depths_equal_mmpretrain():
    arch = dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32)
    theirs = VisionTransformer(arch, img_size=32)
    ours = ViTGAB(**VIT, use_abs_pos_embed=True)
    same = {
        'patch_embed.proj.weight': 'patch_embed.projection.weight',
        'pos_embed': 'pos_embed',
        'norm.weight': 'ln1.weight',
        **{f'blocks.{i}.attn.qkv.weight': f'layers.{i}.attn.qkv.weight' for i in range(3)},
    }
    names = dict(theirs.named_parameters())
    for own, other in same.items():
        assert other in names
        expected = theirs.get_layer_depth(f'backbone.{other}', 'backbone.')
        assert ours.get_layer_depth(f'backbone.{own}', 'backbone.') == expected, own
    assert ours.get_layer_depth('neck.weight', 'backbone.') == (4, 5)


@pytest.mark.parametrize('model', [SwinGAB(**SIZES, **METHODS), ViTGAB(**VIT, **METHODS)])
def test_block_tensors_share_the_block_depth(model):
    found = {}
    for name, _ in model.named_parameters():
        if '.blocks.' in f'.{name}':
            block = name[: name.index('.', name.index('blocks.') + 7)]
            found.setdefault(block, set()).add(model.get_layer_depth(name)[0])
    assert [len(depths) for depths in found.values()] == [1] * len(found)
    depths = [depth for (depth,) in found.values()]
    assert depths == list(range(1, len(found) + 1))


def test_compiled_backbone_keeps_layer_depths():
    model = torch.nn.ModuleDict(dict(backbone=torch.compile(SwinGAB(**SIZES))))
    for name, _ in model.named_parameters():
        depth = model['backbone'].get_layer_depth(name, 'backbone.')
        plain = name.replace('_orig_mod.', '')
        assert depth == model['backbone'].get_layer_depth(plain, 'backbone.')


def classifier(backbone, channels):
    head = dict(type='LinearClsHead', num_classes=3, in_channels=channels)
    neck = dict(type='GlobalAveragePooling')
    return dict(type='ImageClassifier', backbone=backbone, neck=neck, head=head)


def scales(backbone):
    """Learning rate scale of every parameter, as MMPretrain's constructor sets it."""
    optimizer = dict(type='AdamW', lr=1.0, weight_decay=0.05)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        wrapper = build_optim_wrapper(
            MODELS.build(classifier(backbone, 64)),
            ConfigDict(
                type='OptimWrapper',
                constructor='LearningRateDecayOptimWrapperConstructor',
                paramwise_cfg=dict(layer_decay_rate=0.9),
                optimizer=optimizer,
            ),
        )
    groups = wrapper.optimizer.param_groups
    assert all(group['lr'] == group['lr_scale'] for group in groups)
    return {group['param_name']: group['lr_scale'] for group in groups}


def test_learning_rates_equal_mmpretrain_swin():
    arch = {key: list(value) if key != 'embed_dims' else value for key, value in SIZES.items()}
    theirs = scales(dict(type='SwinTransformer', arch=arch))
    ours = scales(dict(type='mmgab.SwinGAB', **SIZES, out_indices=(3,)))
    assert {name: scale for name, scale in ours.items() if 'gaussian' not in name} == theirs
    gaussians = {name: scale for name, scale in ours.items() if 'gaussian' in name}
    assert len(gaussians) == 2 * sum(DEPTHS)
    for name, scale in gaussians.items():
        assert scale == theirs[f'{name.partition("attn")[0]}norm1.weight']


def test_detector_lr_constructor_rejects_swingab_and_stock():
    """MMDetection's constructor supports only ConvNeXt, BEiT and MAE, by class name."""
    import mmdet.engine.optimizers as optimizers

    for backbone in (SwinGAB(**SIZES), stock_swin()):
        make = optimizers.LearningRateDecayOptimizerConstructor(
            dict(optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05)),
            dict(decay_rate=0.9, decay_type='layer_wise', num_layers=4),
        )
        with pytest.raises(NotImplementedError):
            make.add_params([], torch.nn.ModuleDict(dict(backbone=backbone)))
