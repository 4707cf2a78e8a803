"""Sample batches such that a run resumes at any iteration with the same samples."""

from collections.abc import Iterator
from typing import Protocol

from torch.utils.data import BatchSampler, Dataset, Sampler

from mmgab.registry import DATA_SAMPLERS

from .seeded_samples import SeededIndex, SeededSamples

_FETCH = '__getitems__'  # PyTorch's method, which its Dataset class does not declare


class SeededSampler(Protocol):
    """Sampler with the attributes ``dataset`` and ``seed``, such as MMEngine's samplers."""

    dataset: Dataset
    seed: int

    def __iter__(self) -> Iterator[int]:
        """Yield the indices of an epoch."""


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(Sampler):
    """Batch sampler that can skip batches without loading them.

    The random numbers of a sample depend on the seed, rank, epoch, batch and position in the batch
    (:class:`SeededSamples`), so that neither the number of workers nor resuming changes the samples
    of a run. :class:`mmgab.reliability.AtomicCheckpointHook` sets ``start``.

    Args:
        sampler: Sampler of indices, passed by MMEngine. It needs the attributes ``dataset`` and
            ``seed``, as MMEngine's samplers have.
        batch_size: Samples per batch; MMEngine passes the loader's.
        drop_last: Drop an incomplete last batch.
        batches: Config of another batch sampler that groups the indices,
            ``dict(type='mmdet.AspectRatioBatchSampler')`` for example.

    Attributes:
        start: Number of batches that the next iteration over the sampler skips.

    Raises:
        TypeError: If the sampler has no seed or dataset, or its dataset defines
            ``__getitems__``.
    """

    def __init__(
        self,
        sampler: SeededSampler,
        batch_size: int,
        drop_last: bool = False,
        batches: dict | None = None,
    ) -> None:
        for name in ('dataset', 'seed'):
            if not hasattr(sampler, name):
                raise TypeError(
                    f"ResumableBatchSampler: sampler {type(sampler).__name__} has no '{name}', as "
                    "MMEngine's DefaultSampler and InfiniteSampler have"
                )
        self.sampler = sampler
        self.start = 0
        if batches is None:
            self.batches = BatchSampler(sampler, batch_size, drop_last)
        else:
            settings = dict(sampler=sampler, batch_size=batch_size, drop_last=drop_last)
            self.batches = DATA_SAMPLERS.build(batches, default_args=settings)
        _fetch_with_seeds(sampler.dataset)

    def __iter__(self) -> Iterator[list[SeededIndex]]:
        """Yield the batches of an epoch from ``start`` on; later epochs start at 0."""
        start, self.start = self.start, 0
        of_epoch = (self.sampler.seed, _known(self.sampler, 'rank'), _known(self.sampler, 'epoch'))
        for number, batch in enumerate(self.batches):
            if number >= start:
                yield [
                    SeededIndex(index, (*of_epoch, number, position))
                    for position, index in enumerate(batch)
                ]

    def __len__(self) -> int:
        """Return the number of batches of a complete epoch."""
        return len(self.batches)


def _known(sampler: SeededSampler, name: str) -> int:
    """Return the sampler's rank or epoch; 0 if it has none."""
    return getattr(sampler, name, 0)


def _fetch_with_seeds(dataset: Dataset) -> None:
    """Let PyTorch's loader fetch the samples of a dataset through :class:`SeededSamples`."""
    fetch = getattr(dataset, _FETCH, None)
    if fetch is not None and not isinstance(fetch, SeededSamples):
        raise TypeError(
            f'ResumableBatchSampler: {type(dataset).__name__} defines {_FETCH}, so its random '
            'numbers cannot be seeded per sample; use another batch sampler'
        )
    setattr(dataset, _FETCH, SeededSamples(dataset))
