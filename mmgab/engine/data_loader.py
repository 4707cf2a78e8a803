"""Data loaders that have at least one batch."""

from collections.abc import Mapping

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from .preflight import leaf_datasets

_KEYS = ('data_root', 'ann_file', 'data_prefix')  # what tells where a data set comes from
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
    """Whether it starts again inside a batch: its length is that of the data set all the same."""
    return isinstance(getattr(loader.batch_sampler, 'sampler', None), InfiniteSampler)


def _no_images(dataloader: DataLoader | Mapping) -> str:
    dataset = dataloader.dataset if isinstance(dataloader, DataLoader) else dataloader['dataset']
    is_built = not isinstance(dataset, Mapping)
    names = [type(dataset).__name__] if is_built else map(_described, leaf_datasets(dataset))
    return f'{", ".join(names)}: 0 images are found, or left by its filters: there is nothing to do'


def _described(dataset: Mapping) -> str:
    """Type of a data set and where it comes from."""
    kind = dataset['type']
    name = kind if isinstance(kind, str) else kind.__name__
    return f'{name}({", ".join(f"{key}={dataset[key]!r}" for key in _KEYS if key in dataset)})'


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
