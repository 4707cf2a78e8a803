"""Read built datasets: datasets inside wrappers, data infos, classes."""

from collections.abc import Iterator, Mapping, Sequence

from mmengine.dataset import BaseDataset


def leaves(dataset: object) -> Iterator[object]:
    """Yield the datasets inside nested OpenMMLab wrappers (RepeatDataset, ConcatDataset, ...)."""
    inner = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', None)
    # PyTorch's wrappers have no full_init; the samples that they select are unknown here.
    if inner is None or isinstance(dataset, BaseDataset) or not hasattr(dataset, 'full_init'):
        yield dataset
        return
    for each in inner:
        yield from leaves(each)


def infos(dataset: object) -> Iterator[Mapping] | None:
    """Yield the data info of each image without opening it; None for other dataset types."""
    if not isinstance(dataset, BaseDataset):
        return None
    return (dataset.get_data_info(index) for index in range(len(dataset)))


def class_names(dataset: object, kind: str = 'classes') -> Sequence[str]:
    """Return the classes of a dataset that is not a wrapper; empty if it has none.

    Args:
        dataset: A built dataset.
        kind: Key of ``metainfo``; ``'thing_classes'`` are the countable classes of panoptic data.
    """
    metainfo = getattr(dataset, 'metainfo', None)
    return (metainfo.get(kind) or ()) if isinstance(metainfo, Mapping) else ()


def class_problem(dataset: object) -> str | None:
    """Return why the ``classes`` of a dataset that is not a wrapper are invalid, or None.

    A data set's own classes may repeat a name (ImageNet has two cranes, a bird and a machine);
    those of a config are matched with annotation files by name.
    """
    classes: object = class_names(dataset)
    if isinstance(classes, str):
        return (
            f'classes={classes!r} is a string, of which each letter would be a class; for a tuple, '
            f'add a comma: classes=({classes!r},)'
        )
    if not classes:
        return None
    if not isinstance(classes, (list, tuple)):
        kind = type(classes).__name__
        return f'classes is a {kind}, which has no defined order; expected a tuple or a list'
    own = getattr(type(dataset), 'METAINFO', {}).get('classes')
    if own is not None and list(classes) == list(own):
        return None
    repeated = [name for index, name in enumerate(classes) if name in classes[:index]]
    return f'classes has {repeated[0]!r} twice; names must be unique' if repeated else None


def described(dataset: object) -> str:
    """Return the type of a dataset and its annotation file, for messages."""
    source = getattr(dataset, 'ann_file', '') or getattr(dataset, 'data_root', '')
    return f'{type(dataset).__name__}({source})' if source else type(dataset).__name__


def has_a_target(info: Mapping) -> bool:
    """Return True if an image has a training target, according to its data info.

    An instance with ``ignore_flag``, a crowd for example, does not contribute to the loss. An image
    without a list of instances, or with other labels too, counts as having a target.
    """
    instances = info.get('instances')
    if not isinstance(instances, (list, tuple)):
        return True
    if info.get('seg_map_path') or info.get('segments_info'):
        return True
    return any(not instance.get('ignore_flag') for instance in instances)
