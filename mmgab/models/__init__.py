"""Backbones, necks and losses, registered as ``mmgab.*`` for configs."""

import importlib

_MODULES = {
    'GaussianBias': 'mmgab.layers.gaussian_bias',
    'PatchDiversityLoss': 'mmgab.models.patch_diversity_loss',
    'PooledNorm': 'mmgab.models.pooled_norm',
    'ShiftWindowMSA': 'mmgab.layers.window_attention',
    'SimpleFeaturePyramid': 'mmgab.models.simple_feature_pyramid',
    'SwinGAB': 'mmgab.models.swin_gab',
    'ViTGAB': 'mmgab.models.vit_gab',
    'WindowMSA': 'mmgab.layers.window_attention',
    'add_gaussian_bias': 'mmgab.models.timm_gaussian',
    'fold_gaussian_bias': 'mmgab.models.timm_gaussian',
    'gaussian_table': 'mmgab.functional',
    'remove_gaussian_bias': 'mmgab.models.timm_gaussian',
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    """Import a module on demand, so that timm support works without mmengine and mmcv."""
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Names for completion, with those that are imported on demand."""
    return sorted({*globals(), *__all__})
