"""Layers by name, and their outputs in one form."""

import pytest
import torch
from mmdet.models import SwinTransformer
from torch import nn

from mmgab.analysis.erf import FeatureError, as_map, layer_features
from mmgab.models import SwinGAB

MAP = torch.arange(2 * 5 * 3 * 4.0).view(2, 5, 3, 4)  # of an image of 40 x 60 pixels, stride 16
SIZE = (40, 60)


@pytest.mark.parametrize(
    'output',
    [
        MAP,
        MAP.permute(0, 2, 3, 1),
        MAP.flatten(2).transpose(1, 2),
        torch.cat([torch.zeros(2, 1, 5), MAP.flatten(2).transpose(1, 2)], dim=1),
    ],
    ids=['channels first', 'channels last', 'tokens', 'tokens behind a class token'],
)
def test_output_layouts_give_the_same_feature_map(output):
    assert torch.equal(as_map(output, SIZE), MAP)


@pytest.mark.parametrize('shape', [(2, 5), (2, 5, 9, 2), (2, 1000, 5), (2, 3, 4, 3, 4)])
def test_feature_map_with_wrong_shape_raises_error(shape):
    with pytest.raises(FeatureError, match=rf'40 x 60 pixels: its shape is \({shape[0]}, '):
        as_map(torch.zeros(shape), SIZE)


def test_ambiguous_grid_axes_raise_error():
    with pytest.raises(FeatureError, match='not a feature map'):
        as_map(torch.zeros(1, 8, 8, 8), (64, 64))


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 2, 2)
        self.second = nn.Conv2d(4, 8, 2, 2)
        self.unused = nn.Identity()
        self.calls = 0

    def forward(self, x):
        x = self.first(x)
        self.calls += 1
        return x, self.second(x)


def test_layers_after_the_watched_one_are_skipped():
    model, x = Two(), torch.randn(1, 3, 8, 12)
    assert torch.equal(layer_features(model, 'first')(x), model.first(x))
    assert model.calls == 0


def test_one_of_several_outputs_is_chosen():
    model, x = Two(), torch.randn(1, 3, 8, 12)
    assert torch.equal(layer_features(model, '', out_index=-1)(x), model(x)[1])
    with pytest.raises(FeatureError, match=r'returns tuple \[\(1, 4, 4, 6\), \(1, 8, 2, 3\)\]'):
        layer_features(model, '')(x)
    with pytest.raises(FeatureError, match='there is no index 2'):
        layer_features(model, '', out_index=2)(x)


def test_unknown_layer_name_suggests_the_closest():
    with pytest.raises(FeatureError, match=r"Two has no layer 'frist'; did you mean first"):
        layer_features(Two(), 'frist')


def test_unused_layer_raises_error_with_its_name():
    with pytest.raises(FeatureError, match="'unused' was not called"):
        layer_features(Two(), 'unused')(torch.randn(1, 3, 8, 12))


@pytest.mark.parametrize('swin', [SwinGAB, SwinTransformer])
def test_a_swins_stage_gives_its_own_map(swin):
    model = swin(embed_dims=16, depths=(1, 1), num_heads=(1, 2), strides=(4, 2),
                 out_indices=(0, 1))  # fmt: skip
    model.eval()
    images = torch.randn(1, 3, 56, 84)
    with torch.no_grad():
        for index, out in enumerate(model(images)):
            stage = layer_features(model, f'stages.{index}')(images)
            norm = getattr(model, f'norm{index}')
            torch.testing.assert_close(norm(stage.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), out)
