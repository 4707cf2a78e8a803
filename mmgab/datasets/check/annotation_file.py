"""Annotation files in COCO's layout: read within bounds, and reduced to what can be looked at."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mmgab.datasets.image_file import read_regular_file

from .findings import Finding, shown
from .json_values import is_id, is_text

MAX_BYTES = 2**33  # above the largest public data sets in this layout

# What entries must have. Without its ids an entry says nothing of the others.
_FIELDS: dict[str, dict[str, Callable[[object], bool]]] = dict(
    images=dict(id=is_id, file_name=is_text),
    annotations=dict(id=is_id, image_id=is_id, category_id=is_id),
    categories=dict(id=is_id, name=is_text),
)


def read_annotations(
    path: Path, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, list[dict]] | None, list[Finding]]:
    """Read an annotation file.

    Args:
        path: Of the file.
        max_bytes: How large it may be.

    Returns:
        Lists of images, annotations and categories, None where the file cannot be read; and what
        is wrong with the file itself. All entries of the lists are objects that have their ids,
        the others are left out; a name that is no text is None.
    """
    try:
        content = json.loads(read_regular_file(path, max_bytes).decode())
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        return None, [Finding('annotation file cannot be read', f'{path}: {reason}')]
    kind = 'annotation file has not the layout of COCO'
    if not isinstance(content, dict):
        return None, [Finding(kind, f'{path}: {shown(content)} in place of an object')]
    content.setdefault('annotations', [])  # files of test images have none
    missing = [key for key in _FIELDS if not isinstance(content.get(key), list)]
    if missing:
        return None, [Finding(kind, f'{path}: no {missing}')]
    usable, findings = {}, []
    for key in _FIELDS:
        usable[key], wrong = _entries(content[key], key)
        findings += wrong
    return usable, findings


def _entries(given: Sequence, key: str) -> tuple[list[dict], list[Finding]]:
    """Entries that can be looked at, and what is wrong with the others."""
    usable, findings = [], []
    for index, entry in enumerate(given):
        where = f'{key}[{index}]'
        if not isinstance(entry, dict):
            findings.append(
                Finding(f'entry of {key} that is no object', f'{where}: {shown(entry)}')
            )
            continue
        wrong = {
            name: is_fit for name, is_fit in _FIELDS[key].items() if not is_fit(entry.get(name))
        }
        for name in wrong:
            kind = f'{name} of {key} missing or of the wrong type'
            findings.append(Finding(kind, f'{where}: {shown(entry.get(name))}'))
        if is_id not in wrong.values():
            usable.append({**entry, **dict.fromkeys(wrong)} if wrong else entry)
    return usable, findings
