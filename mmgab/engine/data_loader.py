"""Data loaders that have at least one batch."""

from collections.abc import Mapping, Sized

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmgab.config_types import type_name
from mmgab.datasets.built_datasets import class_names
from mmgab.datasets.nested_datasets import leaf_datasets

from .training_data import check_classes

# What tells where a data set comes from, and what of it is left.
_KEYS = ('data_root', 'ann_file', 'data_prefix', 'img_suffix', 'filter_cfg', 'indices')
_EMPTY = 'need at least one array to concatenate'  # NumPy to MMEngine, which has nothing to store


def build_data_loader(
    dataloader: DataLoader | Mapping, seed: int | None = None, diff_rank_seed: bool = False
) -> DataLoader:
    """Build a data loader as MMEngine does, and check that there is something to load.

    Args:
        dataloader: Its settings, or a data loader, which is checked and returned.
        seed: Seed of its sampler and its workers.
        diff_rank_seed: Whether the samplers of the processes have seeds of their own.

    Raises:
        ValueError: If the data set is empty, or a process would have no batch in an epoch.
    """
    try:
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
    except ValueError as error:
        if _EMPTY not in str(error):
            raise
        raise ValueError(_no_images(dataloader)) from error
    check_classes(loader.dataset)
    try:
        images, batches = len(loader.dataset), len(loader)
    except TypeError:  # of unknown length
        return loader
    if images == 0:
        raise ValueError(_no_images(dataloader))
    if batches == 0 and not _is_infinite(loader):
        raise ValueError(_no_batch(loader, images))
    return loader


def _is_infinite(loader: DataLoader) -> bool:
    """Return True for an infinite sampler, whose length is still that of the dataset."""
    return isinstance(getattr(loader.batch_sampler, 'sampler', None), InfiniteSampler)


def _no_images(dataloader: DataLoader | Mapping) -> str:
    dataset = dataloader.dataset if isinstance(dataloader, DataLoader) else dataloader['dataset']
    names, found = [type(dataset).__name__], 0
    if isinstance(dataset, Mapping):
        parts = [(settings, _unfiltered(settings)) for settings in leaf_datasets(dataset)]
        names = [_described(*part) for part in parts]
        found = sum(len(built) for _, built in parts if built is not None)
    left = f'{found} images found, 0 images' if found else '0 images found, or'
    return f'{", ".join(names)}: {left} left after filtering, so there is nothing to load'


def _unfiltered(dataset: Mapping) -> Sized | None:
    """Build a data set without its filters; None where that cannot be done.

    Raises:
        ValueError: If its classes are why nothing is left.
    """
    whole: dict[str, object] = dict(
        pipeline=[], filter_cfg=None, indices=None, serialize_data=False, lazy_init=False
    )
    try:
        built = DATASETS.build({**dataset, **whole})
        len(built)
    except Exception:  # a data set may raise anything, and it was built with its filters before
        return None
    check_classes(built)
    return built


def _described(settings: Mapping, built: object) -> str:
    """Describe a dataset: its type, source, filters and classes."""
    known = {'img_suffix': getattr(built, 'img_suffix', None), **settings}
    given = [f'{key}={known[key]!r}' for key in _KEYS if known.get(key) is not None]
    classes = list(class_names(built))
    given += [f'{len(classes)} classes: {classes[:3]}'] if classes else []
    return f'{type_name(settings)}({", ".join(given)})'


def _no_batch(loader: DataLoader, images: int) -> str:
    batches = getattr(loader.batch_sampler, 'batches', loader.batch_sampler)
    size, drop_last = (
        getattr(batches, name, getattr(loader, name)) for name in ('batch_size', 'drop_last')
    )
    return (
        f'{type(loader.dataset).__name__} has 0 batches an epoch: {images} images found, '
        f'batch_size={size}, drop_last={drop_last}, processes={get_world_size()}. Each process '
        'needs a batch: choose a smaller batch_size, drop_last=False or fewer processes'
    )
