"""Swin Transformer with a learnable Gaussian attention bias, for MMDetection and MMSegmentation."""

import importlib

__version__ = '0.1.0'


def __getattr__(name: str) -> object:
    """``add_gaussian_bias`` on demand: registries import this package, and want it light."""
    if name == 'add_gaussian_bias':
        return importlib.import_module('mmgab.models').add_gaussian_bias
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
