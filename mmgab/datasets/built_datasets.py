"""Data sets that are built: what is inside their wrappers, and what they say of their images."""

from collections.abc import Iterator, Mapping, Sequence

from mmengine.dataset import BaseDataset


def leaves(dataset: object) -> Iterator[object]:
    """Data sets inside any nest of OpenMMLab's wrappers (RepeatDataset, ConcatDataset, ...)."""
    inner = [dataset.dataset] if hasattr(dataset, 'dataset') else getattr(dataset, 'datasets', None)
    # PyTorch's own wrappers have no full_init: what they select of a data set is not known here.
    if inner is None or isinstance(dataset, BaseDataset) or not hasattr(dataset, 'full_init'):
        yield dataset
        return
    for each in inner:
        yield from leaves(each)


def infos(dataset: object) -> Iterator[Mapping] | None:
    """What a data set says of each of its images, without opening one; None where it does not."""
    if not isinstance(dataset, BaseDataset):
        return None
    return (dataset.get_data_info(index) for index in range(len(dataset)))


def class_names(dataset: object, kind: str = 'classes') -> Sequence[str]:
    """The classes of a data set that is no wrapper; empty where it names none.

    Args:
        dataset: A built data set.
        kind: Of its ``metainfo``: ``'thing_classes'`` are those of panoptic data that have objects.
    """
    metainfo = getattr(dataset, 'metainfo', None)
    return (metainfo.get(kind) or ()) if isinstance(metainfo, Mapping) else ()


def class_problem(classes: object) -> str | None:
    """Why ``metainfo['classes']`` cannot be a data set's classes, if so."""
    if isinstance(classes, str):
        return (
            f'classes={classes!r} is a text, of which each letter would be a class: it must be a '
            f'tuple, add a comma: classes=({classes!r},)'
        )
    if not classes:
        return None
    if not isinstance(classes, (list, tuple)):
        kind = type(classes).__name__
        return f'classes is a {kind}, which has no order of its own: it must be a tuple or a list'
    repeated = [name for index, name in enumerate(classes) if name in classes[:index]]
    return f'classes has {repeated[0]!r} twice: each must be there once' if repeated else None


def described(dataset: object) -> str:
    """Type of a data set, and its annotation file."""
    source = getattr(dataset, 'ann_file', '') or getattr(dataset, 'data_root', '')
    return f'{type(dataset).__name__}({source})' if source else type(dataset).__name__


def has_a_target(info: Mapping) -> bool:
    """Tell whether an image has anything to learn from, as far as its data set says.

    An instance with ``ignore_flag``, a crowd for example, takes no part in the loss. An image that
    does not list instances, or has other labels beside them, is taken to have something.
    """
    instances = info.get('instances')
    if not isinstance(instances, (list, tuple)):
        return True
    if info.get('seg_map_path') or info.get('segments_info'):
        return True
    return any(not instance.get('ignore_flag') for instance in instances)
