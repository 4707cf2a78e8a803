"""Find the settings of datasets inside the settings of their wrappers."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence


def leaf_datasets(dataset: Mapping) -> Iterator[Mapping]:
    """Yield the settings of datasets inside nested wrappers (RepeatDataset, ConcatDataset, ...).

    Raises:
        ValueError: If a list is given, as MMEngine takes one dataset.
    """
    if isinstance(dataset, (list, tuple)):
        raise ValueError(
            f'dataset is a list of {len(dataset)}, expected one dict; use '
            "dict(type='ConcatDataset', datasets=[...]) for several datasets"
        )
    inner = inner_datasets(dataset)
    if inner is None:
        yield dataset
        return
    for item in inner:
        yield from leaf_datasets(item)


def inner_datasets(dataset: Mapping) -> Sequence[MutableMapping] | None:
    """Return the settings of the datasets in a wrapper; None for other datasets."""
    inner = dataset.get('dataset', dataset.get('datasets'))
    inner = [inner] if isinstance(inner, MutableMapping) else inner
    # A custom dataset may have an argument of the same name.
    if not isinstance(inner, (list, tuple)):
        return None
    return inner if all(isinstance(each, MutableMapping) for each in inner) else None
