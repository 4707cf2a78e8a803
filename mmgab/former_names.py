"""Former import paths of version 0.1.0, for configs written by or for it."""

import importlib

# By the package that had it, the names and the package that has them now.
_MOVED = {
    'mmgab.reliability': (
        ('AtomicCheckpointHook', 'NumericsGuardHook', 'UnreadableImagesHook'),
        'mmgab.hooks',
    ),
}


def find(package: str, name: str) -> object:
    """Look up a moved name, for a package's ``__getattr__``.

    Raises:
        AttributeError: If it never had that.
    """
    names, now = _MOVED[package]
    if name not in names:
        raise AttributeError(f'module {package!r} has no attribute {name!r}')
    return getattr(importlib.import_module(now), name)
