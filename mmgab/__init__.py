"""Swin Transformer with a learnable Gaussian attention bias, for MMDetection and MMSegmentation.

``SwinGAB`` and ``ViTGAB`` need mmengine and mmcv; the functions need torch and safetensors alone.
"""

import importlib

__version__ = '0.1.0'
__all__ = [
    'SwinGAB',
    'ViTGAB',
    'add_gaussian_bias',
    'fold',
    'fold_gaussian_bias',
    'load',
    'remove_gaussian_bias',
]


def __getattr__(name: str) -> object:
    """Import what is asked for on demand: registries import this package, and want it light."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    package = 'mmgab.checkpoints' if name in ('fold', 'load') else 'mmgab.models'
    try:
        return getattr(importlib.import_module(package), name)
    except ModuleNotFoundError as error:
        if error.name not in ('mmcv', 'mmengine'):
            raise
        raise ModuleNotFoundError(
            f'mmgab.{name} needs mmengine and mmcv, and {error.name} is not installed: '
            'see README.md',
            name=error.name,
        ) from error


def __dir__() -> list[str]:
    """Names for completion, with those that are imported on demand."""
    return sorted({*globals(), *__all__})
