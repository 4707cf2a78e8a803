"""Settings of data sets inside the settings of their wrappers."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence


def leaf_datasets(dataset: Mapping) -> Iterator[Mapping]:
    """Datasets inside any nest of wrappers (RepeatDataset, ConcatDataset, ...).

    Raises:
        ValueError: If a list is given: MMEngine takes one dataset.
    """
    if isinstance(dataset, (list, tuple)):
        raise ValueError(
            f'dataset is a list of {len(dataset)}, and must be one: '
            "dict(type='ConcatDataset', datasets=[...]) makes one of several"
        )
    inner = inner_datasets(dataset)
    if inner is None:
        yield dataset
        return
    for item in inner:
        yield from leaf_datasets(item)


def inner_datasets(dataset: Mapping) -> Sequence[MutableMapping] | None:
    """Settings of what a wrapper wraps; None for a dataset that is no wrapper."""
    inner = dataset.get('dataset', dataset.get('datasets'))
    inner = [inner] if isinstance(inner, MutableMapping) else inner
    # An argument of a dataset of somebody's own may have the same name.
    if not isinstance(inner, (list, tuple)):
        return None
    return inner if all(isinstance(each, MutableMapping) for each in inner) else None
