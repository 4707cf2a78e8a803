"""Publish a checkpoint: drop the training state and put the hash into the file name."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from mmgab.atomic_file import partial_file, put_in_place
from mmgab.downloads.download import file_sha256

from .contents import wrapper_of
from .serialization import serialize
from .wrappers import averaging_counters, wrapper_stripper


def publish(checkpoint: Mapping, path: Path) -> Path:
    """Write the weights and the meta data to ``NAME-HASH.SUFFIX``.

    Args:
        checkpoint: What was read from a file: optimizer, schedules and logs are dropped; where it
            has several sets of weights, the one that a loader would take is kept. Names lose
            wrappers such as ``_orig_mod.``, with which other loaders would not know them.
        path: ``NAME.SUFFIX``; the folder is where it goes.

    Returns:
        Where it was written; the first 8 digits of its sha256 are in the name, as OpenMMLab does.
        The same contents always give the same hash.

    Raises:
        FileExistsError: If it was published before.
        OSError: If the folder cannot be written.
    """
    wrapper = wrapper_of(checkpoint)
    if wrapper is None:
        checkpoint = _without_wrappers(checkpoint)
    else:
        kept = {'meta': checkpoint['meta']} if 'meta' in checkpoint else {}
        checkpoint = {**kept, wrapper: _without_wrappers(checkpoint[wrapper])}
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial_file(path.parent, path.suffix) as draft:
        serialize(checkpoint, draft)
        published = path.with_name(f'{path.stem}-{file_sha256(draft)[:8]}{path.suffix}')
        if published.exists():
            raise FileExistsError(f'{published} exists: this was published before')
        put_in_place(draft, published)
    return published


def _without_wrappers(weights: Mapping) -> Mapping:
    """Strip wrappers from the names of a state dict; itself where there are none."""
    if not all(isinstance(name, str) for name in weights):
        return weights
    strip, counters = wrapper_stripper(weights), averaging_counters(weights)
    names = {name: strip(name) for name in weights if name not in counters}
    if list(names.values()) == list(weights) or len(set(names.values())) < len(names):
        return weights
    renamed = OrderedDict((own, weights[name]) for name, own in names.items())
    notes = getattr(weights, '_metadata', {})
    paths = ((strip(f'{path}.')[:-1], note) for path, note in notes.items())
    vars(renamed)['_metadata'] = OrderedDict(paths)  # an attribute, as torch has it
    return renamed
