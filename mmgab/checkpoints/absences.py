"""What a file may lack, as it has nothing of the kind."""

from collections.abc import Iterable

from mmgab.layers.methods import METHODS

from .excuses import NOTHING


def absent_methods(names: Iterable[str]) -> str:
    """Pattern of the tensors that a file need not have, as it has none of their method."""
    names = list(names)
    return '|'.join(m.pattern for m in METHODS if not m.is_in(names)) or NOTHING
