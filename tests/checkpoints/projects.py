"""The Swins of other projects, each with what the tests of conversion need to know about it."""

from collections.abc import Callable
from dataclasses import dataclass

import timm
import torch
from mmdet.models.backbones.swin import SwinTransformer as DetSwin
from mmpretrain.models.backbones import SwinTransformer as PretrainSwin
from mmseg.models.backbones.swin import SwinTransformer as SegSwin
from torchvision.models.swin_transformer import SwinTransformer as VisionSwin

from mmgab.checkpoints import Contents
from mmgab.models import SwinGAB

DEPTHS, HEADS, WIDTH = (2, 2, 2, 2), (2, 4, 8, 16), 16
OURS = dict(embed_dims=WIDTH, depths=DEPTHS, num_heads=HEADS)
CLASSES = 5
PRETRAIN_ARCH = dict(embed_dims=WIDTH, depths=list(DEPTHS), num_heads=list(HEADS))
# Width, depths, heads and window of the published sizes.
PUBLISHED = {
    'T': (96, (2, 2, 6, 2), (3, 6, 12, 24), 7),
    'S': (96, (2, 2, 18, 2), (3, 6, 12, 24), 7),
    'B': (128, (2, 2, 18, 2), (4, 8, 16, 32), 12),
    'L': (192, (2, 2, 18, 2), (6, 12, 24, 48), 12),
}


def randomise(model, seed=5):
    """Weights at which attention matters: at the initial ones, mistakes hardly show."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if 'gaussian' in name:
                parameter.uniform_(0.5, 3, generator=generator)
                continue
            is_matrix = parameter.ndim > 1 and 'table' not in name
            std = parameter[0].numel() ** -0.5 if is_matrix else 1.0
            parameter.normal_(std=std, generator=generator)
    model.train(False)
    return model


def assert_names_are_complete(theirs, variant):
    """A project's tensors of a published size are all of ours, but for the norms it has not."""
    width, depths, heads, window = PUBLISHED[variant]
    with torch.device('meta'):
        ours = SwinGAB(
            embed_dims=width, depths=depths, num_heads=heads, window_size=window, gab_cfg=None
        ).state_dict()
    swin = Contents.of(theirs, 'x').swin
    shapes = {n: t.shape for n, t in swin.items() if not n.endswith('position_index')}
    allowed = {f'norm{stage}.{p}' for stage in range(3) for p in ('weight', 'bias')}
    assert set(ours) - allowed <= set(shapes)
    assert set(shapes) <= set(ours) | {'head.fc.weight', 'head.fc.bias'}
    assert all(shapes[n] == ours[n].shape for n in ours if n in shapes)


def images(size, seed=1):
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Project:
    """One project's Swin.

    Attributes:
        build: A small one, with the widths above.
        variant: One of the published sizes, from depths, width, heads and window.
        features: Its normed maps (B, C, H, W), the last of which is ours of the last stage.
        sizes: Image sizes at which all projects mean the same.
        wrap: What its files look like around the tensors.
    """

    build: Callable
    variant: Callable
    features: Callable
    sizes: tuple = ((448, 448),)
    wrap: Callable = dict


def _openmmlab(cls):
    def variant(width, depths, heads, window):
        return cls(embed_dims=width, depths=depths, num_heads=heads, window_size=window)

    return Project(
        build=lambda: cls(**OURS),
        variant=variant,
        features=lambda model, x: list(model(x)),
        sizes=((97, 131), (448, 448)),
        wrap=lambda tensors: dict(state_dict=tensors, meta={}),
    )


def _pretrain(width, depths, heads, window, **options):
    arch = dict(embed_dims=width, depths=list(depths), num_heads=list(heads))
    return PretrainSwin(arch, window_size=window, **options)


def _timm(width, depths, heads, window, **options):
    return timm.create_model(
        'swin_tiny_patch4_window7_224',
        embed_dim=width,
        depths=depths,
        num_heads=heads,
        window_size=window,
        img_size=64 * window,
        **options,
    )


def _vision(width, depths, heads, window, **options):
    windows = [window, window]
    return VisionSwin([4, 4], width, list(depths), list(heads), windows, **options)


PROJECTS = {
    'mmdet': _openmmlab(DetSwin),
    'mmseg': _openmmlab(SegSwin),
    'mmpretrain': Project(
        build=lambda: _pretrain(WIDTH, DEPTHS, HEADS, 7, pad_small_map=True),
        variant=_pretrain,
        features=lambda model, x: list(model(x)),
        sizes=((97, 131), (448, 448)),
        wrap=lambda tensors: dict(state_dict=tensors, meta={}),
    ),
    'timm': Project(
        build=lambda: _timm(WIDTH, DEPTHS, HEADS, 7, num_classes=CLASSES),
        variant=_timm,
        features=lambda model, x: [model.forward_features(x).permute(0, 3, 1, 2)],
    ),
    'torchvision': Project(
        build=lambda: _vision(WIDTH, DEPTHS, HEADS, 7, num_classes=CLASSES),
        variant=_vision,
        features=lambda model, x: [model.norm(model.features(x)).permute(0, 3, 1, 2)],
        sizes=((448, 448), (468, 520)),  # larger, the last stage is still more than a window
    ),
}
