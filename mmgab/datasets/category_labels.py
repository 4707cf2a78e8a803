"""Labels of categories: MMDetection numbers the classes in the order of an annotation file."""

import json
import mmap
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from mmengine.dataset import BaseDataset

_KEY = b'"categories"'
_LOADERS = ('mmdet.datasets.coco', 'mmdet.datasets.objects365', 'mmdet.datasets.lvis')


def numbers_by_file(dataset: object) -> TypeGuard[BaseDataset]:
    """Tell whether MMDetection takes a data set's labels from the categories of a JSON file."""
    load = getattr(type(dataset), 'load_data_list', None)
    return getattr(load, '__module__', None) in _LOADERS and hasattr(dataset, 'cat_ids')


def label_names(dataset: object) -> Sequence[str] | None:
    """The category that each label of a data set stands for, in the order of the labels.

    Args:
        dataset: A built data set that is no wrapper.

    Returns:
        Names; None where labels do not come from a local file in COCO's layout, or are texts.
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

    Where the key ``categories`` is there once, only what follows it is parsed: COCO's training set
    has half a gigabyte before it.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not JSON.
        KeyError, TypeError: If it is not in COCO's layout.
    """
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        first = content.find(_KEY)
        is_unique = first >= 0 and content.find(_KEY, first + 1) < 0
        categories = _list_after(content, first + len(_KEY)) if is_unique else None
        if categories is None:
            categories = json.loads(content[:])['categories']
    return {category['id']: category['name'] for category in categories}


def _list_after(content: mmap.mmap, start: int) -> Sequence[Mapping] | None:
    """Parse the list that is a key's value."""
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
    """Labels whose name has another label in the other list, and what stands there in its place.

    A name that the other list does not have is no contradiction: the two may be spelled
    differently.
    """
    known = set(others)
    return {
        label: others[label] if label < len(others) else 'no class'
        for label, name in enumerate(names)
        if name in known and (label >= len(others) or others[label] != name)
    }
