"""Swin Transformer with a learnable Gaussian attention bias, for MMDetection and MMSegmentation.

``SwinGAB`` and ``ViTGAB`` need mmengine and mmcv; the functions need torch and safetensors alone.
"""

import difflib
import importlib
import importlib.util

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
    """Import a public name when it is first used: registries import this package often.

    Raises:
        AttributeError: If there is no such name, and no similar one.
        ImportError: If a public name is similar: ``from mmgab import`` hides an AttributeError.
        ModuleNotFoundError: If MMEngine or MMCV is not installed and the name needs it.
    """
    if name not in __all__:
        _suggest(name)
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    package = 'mmgab.checkpoints' if name in ('fold', 'load') else 'mmgab.models'
    try:
        return getattr(importlib.import_module(package), name)
    except ModuleNotFoundError as error:
        if error.name not in ('mmcv', 'mmengine'):
            raise
        raise ModuleNotFoundError(
            f'mmgab.{name} needs mmengine and mmcv, and {error.name} is not installed: '
            'see docs/installation.md',
            name=error.name,
        ) from error


def _suggest(name: str) -> None:
    """Raise an ImportError with the public name that is similar; submodules keep their names."""
    names = {public.lower(): public for public in __all__}
    similar = difflib.get_close_matches(name.lower(), names, n=1)
    if similar and not name.startswith('_') and not importlib.util.find_spec(f'mmgab.{name}'):
        found = names[similar[0]]
        raise ImportError(f"cannot import name {name!r} from 'mmgab'. Did you mean {found!r}?")


def __dir__() -> list[str]:
    """Names for completion, with those that are imported on demand."""
    return sorted({*globals(), *__all__})
