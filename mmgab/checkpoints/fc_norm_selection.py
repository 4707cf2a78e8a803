"""The norm after a classifier's global average pooling: timm's ``fc_norm``."""

from .allowed_differences import EVERYTHING, AllowedDifferences
from .contents import unwrap
from .selection import Request, Selection

_PLACE = 'fc_norm.'


def is_fc_norm(names: list[str]) -> bool:
    """Return True if all tensor names are those of the norm."""
    return bool(names) and all(name.startswith(_PLACE) for name in names)


def select_fc_norm(request: Request) -> Selection:
    """Select the norm of a classifier's file, timm's or mmgab's; other keys are not reported.

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
            f'{request.source} has no {_PLACE}weight: use a classifier with a norm after global '
            "average pooling, such as timm's vit_relpos_*, or omit init_cfg of PooledNorm"
        )
    return Selection(found, {}, AllowedDifferences() if request.strict else EVERYTHING, 'timm', [])
