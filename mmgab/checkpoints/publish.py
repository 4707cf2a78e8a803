"""A checkpoint for others: without what only training needs, its hash in its name."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from .files import file_sha256, write_checkpoint

_KEPT = ('meta', 'state_dict', 'model')


def publish(checkpoint: Mapping, path: Path) -> Path:
    """Write the weights, and what the file says of itself, to ``NAME-HASH.SUFFIX``.

    Args:
        checkpoint: What was read from a file: optimizer, schedules, logs and averages are dropped.
        path: ``NAME.SUFFIX``; the folder is where it goes.

    Returns:
        Where it was written; the first 8 digits of its sha256 are in the name, as OpenMMLab does.
        The same contents always give the same hash.

    Raises:
        FileExistsError: If it was published before.
    """
    is_wrapped = any(isinstance(checkpoint.get(key), Mapping) for key in _KEPT[1:])
    if is_wrapped:
        checkpoint = {key: checkpoint[key] for key in _KEPT if key in checkpoint}
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f'.{path.stem}.') as folder:
        draft = Path(folder) / path.name
        write_checkpoint(checkpoint, draft)
        published = path.with_name(f'{path.stem}-{file_sha256(draft)[:8]}{path.suffix}')
        if published.exists():
            raise FileExistsError(f'{published} exists: this was published before')
        return draft.replace(published)
