"""Missing keys that are allowed, because a file has no tensor of a method."""

from collections.abc import Iterable

from mmgab.layers.methods import METHODS

from .allowed_differences import NOTHING


def missing_method_keys(names: Iterable[str]) -> str:
    """Return the pattern of keys that may be missing: those of methods absent from the file."""
    names = list(names)
    return '|'.join(m.pattern for m in METHODS if not m.is_in(names)) or NOTHING
