"""Map labels to categories: MMDetection numbers classes in the order of an annotation file."""

import json
import mmap
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from mmengine.dataset import BaseDataset

_KEY = b'"categories"'
_LOADERS = ('mmdet.datasets.coco', 'mmdet.datasets.objects365', 'mmdet.datasets.lvis')


def numbers_by_file(dataset: object) -> TypeGuard[BaseDataset]:
    """Return True if MMDetection takes a dataset's labels from the categories of a JSON file."""
    load = getattr(type(dataset), 'load_data_list', None)
    return getattr(load, '__module__', None) in _LOADERS and hasattr(dataset, 'cat_ids')


def label_names(dataset: object) -> Sequence[str] | None:
    """Return the category name of each label of a dataset, in the order of the labels.

    Args:
        dataset: A built dataset that is not a wrapper.

    Returns:
        Names; None if labels do not come from a local file in COCO format, or are text prompts.
    """
    if not numbers_by_file(dataset) or dataset.return_classes or dataset.backend_args:
        return None
    try:
        names = categories_of(dataset.ann_file)
        return [names[category] for category in dataset.cat_ids]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def categories_of(path: str | Path) -> dict[Hashable, str]:
    """Read the categories of an annotation file, id to name.

    If the key ``categories`` occurs once, only the list after it is parsed: COCO's training set
    has half a gigabyte before it.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not JSON.
        KeyError, TypeError: If it is not in COCO format.
    """
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        first = content.find(_KEY)
        is_unique = first >= 0 and content.find(_KEY, first + 1) < 0
        categories = _list_after(content, first + len(_KEY)) if is_unique else None
        if categories is None:
            categories = json.loads(content[:])['categories']
    return {category['id']: category['name'] for category in categories}


def _list_after(content: mmap.mmap, start: int) -> Sequence[Mapping] | None:
    """Parse the list value of a key; None if it cannot be parsed."""
    length = 2**20
    while True:
        text = content[start : start + length].decode(errors='ignore').lstrip(' \t\r\n:')
        try:
            return json.JSONDecoder().raw_decode(text)[0]
        except ValueError:
            if start + length >= len(content):
                return None
            length *= 8


def misplaced(names: Sequence[str], others: Sequence[str]) -> dict[int, str]:
    """Return labels whose name has another label in ``others``, with the name found there.

    Names that are missing in ``others`` are skipped, as the spelling may differ.
    """
    known = set(others)
    return {
        label: others[label] if label < len(others) else 'no class'
        for label, name in enumerate(names)
        if name in known and (label >= len(others) or others[label] != name)
    }
