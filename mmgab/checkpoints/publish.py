"""A checkpoint for others: without what only training needs, its hash in its name."""

from collections.abc import Mapping
from pathlib import Path

from .atomic_file import partial_file, put_in_place
from .contents import wrapper_of
from .download import file_sha256
from .serialization import serialize


def publish(checkpoint: Mapping, path: Path) -> Path:
    """Write the weights, and what the file says of itself, to ``NAME-HASH.SUFFIX``.

    Args:
        checkpoint: What was read from a file: optimizer, schedules and logs are dropped; where it
            has several sets of weights, the one that a loader would take is kept.
        path: ``NAME.SUFFIX``; the folder is where it goes.

    Returns:
        Where it was written; the first 8 digits of its sha256 are in the name, as OpenMMLab does.
        The same contents always give the same hash.

    Raises:
        FileExistsError: If it was published before.
        OSError: If the folder cannot be written.
    """
    wrapper = wrapper_of(checkpoint)
    if wrapper is not None:
        checkpoint = {key: checkpoint[key] for key in ('meta', wrapper) if key in checkpoint}
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path.parent, path.suffix) as draft:
        serialize(checkpoint, draft)
        published = path.with_name(f'{path.stem}-{file_sha256(draft)[:8]}{path.suffix}')
        if published.exists():
            raise FileExistsError(f'{published} exists: this was published before')
        put_in_place(draft, published)
    return published
