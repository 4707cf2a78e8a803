"""Backbones and the layers that they are made of; registered as ``mmgab.*``."""

import importlib

_MODULES = {
    'GaussianBias': 'gaussian_bias',
    'PatchDiversityLoss': 'patch_diversity_loss',
    'PooledNorm': 'pooled_norm',
    'ShiftWindowMSA': 'window_attention',
    'SimpleFeaturePyramid': 'simple_feature_pyramid',
    'SwinGAB': 'swin_gab',
    'ViTGAB': 'vit_gab',
    'WindowMSA': 'window_attention',
    'add_gaussian_bias': 'timm_gaussian',
    'fold_gaussian_bias': 'timm_gaussian',
    'gaussian_table': 'gaussian_bias',
    'remove_gaussian_bias': 'timm_gaussian',
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> object:
    """Import a module on demand: what timm's networks need does without mmengine and mmcv."""
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)


def __dir__() -> list[str]:
    """Names for completion, with those that are imported on demand."""
    return sorted({*globals(), *__all__})
