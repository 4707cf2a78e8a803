"""Load the norm that a classifier has behind the mean over its patches: timm's ``fc_norm``."""

from torch import nn

from .contents import unwrap
from .files import read_checkpoint
from .loading import load_adapted
from .matching import Excuses, LoadReport

_PLACE = 'fc_norm.'


def load_fc_norm(
    model: nn.Module, source: str, trust: bool = False, sha256: str | None = None
) -> LoadReport:
    """Load ``fc_norm``, the rest of the file being another module's.

    Args:
        model: With a norm of that name and nothing else, a :class:`mmgab.models.PooledNorm`.
        source: What :func:`~.files.read_checkpoint` reads: a classifier of timm's, or our own.
        trust: See :func:`~.files.read_checkpoint`.
        sha256: See :func:`~.files.read_checkpoint`.

    Returns:
        What was loaded; the rest of the file is not listed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, has no ``fc_norm``, or one that does not fit.
    """
    tensors, _ = unwrap(read_checkpoint(source, trust=trust, sha256=sha256), source)
    found = {
        _PLACE + name.rpartition(_PLACE)[2]: tensor
        for name, tensor in tensors.items()
        if f'.{_PLACE}' in f'.{name}'
    }
    if not found:
        raise ValueError(
            f'{source} has no {_PLACE}weight: take a classifier that norms the mean over its '
            "patches, such as timm's vit_relpos_*, or leave init_cfg of PooledNorm out"
        )
    return load_adapted(model, found, {}, Excuses(), source, 'timm')
