"""Read annotation files in COCO format within a size limit, and keep the valid entries."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mmgab.datasets.image_file import read_regular_file

from .findings import Finding, shown
from .json_values import is_id, is_text

MAX_BYTES = 2**33  # above the largest public datasets in this format

# Required keys of entries. An entry without its ids cannot be linked to others.
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
        path: The annotation file.
        max_bytes: Maximum size of the file.

    Returns:
        Lists of images, annotations and categories (None if the file cannot be read), and the
        findings about the file. Entries without valid ids are dropped; a name that is not a
        string becomes None.
    """
    try:
        content = json.loads(read_regular_file(path, max_bytes).decode())
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or type(error).__name__
        return None, [Finding('annotation file cannot be read', f'{path}: {reason}')]
    kind = 'annotation file is not in COCO format'
    if not isinstance(content, dict):
        return None, [Finding(kind, f'{path}: {shown(content)}, expected a JSON object')]
    content.setdefault('annotations', [])  # annotation files of test images omit the key
    missing = [key for key in _FIELDS if not isinstance(content.get(key), list)]
    if missing:
        detail = f'{path}: {", ".join(missing)} missing or not a list'
        return None, [Finding(kind, detail)]
    usable, findings = {}, []
    for key in _FIELDS:
        usable[key], wrong = _entries(content[key], key, path)
        findings += wrong
    return usable, findings


def _entries(given: Sequence, key: str, path: Path) -> tuple[list[dict], list[Finding]]:
    """Return the valid entries, and findings about the others."""
    usable, findings = [], []
    for index, entry in enumerate(given):
        where = f'{path}: {key}[{index}]'
        if not isinstance(entry, dict):
            findings.append(
                Finding(f'entry of {key} is not a JSON object', f'{where} is {shown(entry)}')
            )
            continue
        wrong = {
            name: is_fit for name, is_fit in _FIELDS[key].items() if not is_fit(entry.get(name))
        }
        for name in wrong:
            kind = f'{name} of {key} missing or of the wrong type'
            expected = 'a string' if _FIELDS[key][name] is is_text else 'a number or a string'
            found = f'{where}: {name} is {shown(entry.get(name))}'
            findings.append(Finding(kind, f'{found}, expected {expected}'))
        if is_id not in wrong.values():
            usable.append({**entry, **dict.fromkeys(wrong)} if wrong else entry)
    return usable, findings
