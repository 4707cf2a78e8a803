"""Check image folders as MMSegmentation lists them: recursively, following symbolic links."""

import os
from collections import Counter
from collections.abc import Iterator

from .findings import Finding

_KINDS = 5  # number of suffixes that are listed


def check_folder(folder: str, suffix: str, above: tuple[str, ...] = ()) -> Iterator[Finding]:
    """Report entries that MMSegmentation skips; raise an error on a loop of links.

    Args:
        folder: Image folder.
        suffix: Suffix of the image names.
        above: Resolved parent folders.

    Raises:
        OSError: If a folder cannot be listed.
        ValueError: If a link points to one of its parent folders.
    """
    real = os.path.realpath(folder)
    if real in above:
        raise ValueError(f'symbolic link {folder} points to its parent folder {real}; remove it')
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False) or os.path.isfile(entry.path):
                continue
            if os.path.isdir(entry.path):
                yield from check_folder(entry.path, suffix, (*above, real))
            elif entry.name.endswith(suffix):
                detail = f'{entry.path}: not a regular file, MMSegmentation skips it'
                yield Finding('image cannot be read', detail)


def check_suffix(folder: str, suffix: str) -> Iterator[Finding]:
    """Report files that MMSegmentation skips because the case of their suffix differs.

    Args:
        folder: Image folder.
        suffix: Suffix of the image names.
    """
    other = [
        name for name in _names(folder)
        if name.lower().endswith(suffix.lower()) and not name.endswith(suffix)
    ]  # fmt: skip
    if other:
        detail = (
            f'{folder}: {len(other)} files, for example {other[0]}; img_suffix={suffix!r} is '
            'case-sensitive, rename the files'
        )
        yield Finding('images skipped, suffix in another case', detail)


def shown_suffixes(folder: str) -> str:
    """List the suffixes of the files in a folder, the most frequent first."""
    found = Counter(os.path.splitext(name)[1] for name in _names(folder))
    listed = [f'{number} x {suffix or "no suffix"}' for suffix, number in found.most_common(_KINDS)]
    return ', '.join(listed) or 'no files'


def _names(folder: str) -> list[str]:
    return sorted(name for _, _, names in os.walk(folder) for name in names)
