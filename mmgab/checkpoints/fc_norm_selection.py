"""The norm that a classifier has behind the mean over its patches: timm's ``fc_norm``."""

from .contents import unwrap
from .excuses import EVERYTHING, Excuses
from .selection import Request, Selection

_PLACE = 'fc_norm.'


def is_fc_norm(names: list[str]) -> bool:
    """Whether names of tensors are those of the norm alone."""
    return bool(names) and all(name.startswith(_PLACE) for name in names)


def select_fc_norm(request: Request) -> Selection:
    """Take the norm out of a classifier's file, timm's or our own; the rest is not listed.

    Raises:
        ValueError: If the file has none.
    """
    tensors, _ = unwrap(request.checkpoint, request.source)
    before = f'.{(request.prefix or "").strip(".")}.'.replace('..', '.')
    found = {
        _PLACE + name.rpartition(_PLACE)[2]: tensor
        for name, tensor in tensors.items()
        if f'.{_PLACE}' in f'.{name}' and f'.{name}'.startswith(before)
    }
    if not found:
        raise ValueError(
            f'{request.source} has no {_PLACE}weight: take a classifier that norms the mean over '
            "its patches, such as timm's vit_relpos_*, or leave init_cfg of PooledNorm out"
        )
    return Selection(found, {}, Excuses() if request.strict else EVERYTHING, 'timm', [])
