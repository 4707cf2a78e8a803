"""Folders of images, as MMSegmentation lists them: with all folders below, through links too."""

import os
from collections import Counter
from collections.abc import Iterator

from .findings import Finding

_KINDS = 5  # of suffixes that are listed


def check_folder(folder: str, suffix: str, above: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Look for what MMSegmentation would pass over, or walk for ever.

    Args:
        folder: Where images are.
        suffix: Of their names.
        above: Folders that lead to it, without links.

    Raises:
        OSError: If a folder cannot be listed.
        ValueError: If a link leads back to a folder above it.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise ValueError(f'link {folder} leads back to {real}, so that the folder has no end')
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path):
                continue
            if os.path.isdir(entry.path):
                yield from check_folder(entry.path, suffix, (*above, real))
            elif entry.name.endswith(suffix):
                detail = f'{entry.path}: not a regular file, and passed over'
                yield Finding('image that cannot be read', detail)


def check_suffix(folder: str, suffix: str) -> Iterator[Finding]:
    """Look for files that MMSegmentation passes over as their suffix is in other letters.

    Args:
        folder: Where images are.
        suffix: Of their names.
    """
    other = [
        name for name in _names(folder)
        if name.lower().endswith(suffix.lower()) and not name.endswith(suffix)
    ]  # fmt: skip
    if other:
        detail = f'{folder}: {len(other)} files, {other[0]} for example; img_suffix={suffix!r}'
        yield Finding('images passed over, with a suffix in other letters', detail)


def shown_suffixes(folder: str) -> str:
    """Say which suffixes the files of a folder have, the most frequent first."""
    found = Counter(os.path.splitext(name)[1] for name in _names(folder))
    listed = [
        f'{number} of {suffix or "no suffix"}' for suffix, number in found.most_common(_KINDS)
    ]
    return ', '.join(listed) or 'no file'


def _names(folder: str) -> list[str]:
    return sorted(name for _, _, names in os.walk(folder) for name in names)
