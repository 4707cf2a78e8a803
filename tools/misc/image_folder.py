"""Folders of images, as MMSegmentation lists them: with all folders below, through links too."""

import os
from collections.abc import Iterator

from findings import Finding


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
