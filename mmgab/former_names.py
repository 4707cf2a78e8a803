"""Names that version 0.1.0 had elsewhere: configs that it wrote, or that were written for it."""

import importlib

# By the package that had it, the names and the package that has them now.
_MOVED = {
    'mmgab.reliability': (
        ('AtomicCheckpointHook', 'NumericsGuardHook', 'UnreadableImagesHook'),
        'mmgab.hooks',
    ),
}


def find(package: str, name: str) -> object:
    """Find what a package had; for its ``__getattr__``.

    Raises:
        AttributeError: If it never had that.
    """
    names, now = _MOVED[package]
    if name not in names:
        raise AttributeError(f'module {package!r} has no attribute {name!r}')
    return getattr(importlib.import_module(now), name)
