"""Batches that a run can go on with at any place, with the samples that it would have seen."""

from collections.abc import Iterator
from typing import Protocol

from torch.utils.data import BatchSampler, Dataset, Sampler

from mmgab.registry import DATA_SAMPLERS

from .seeded_samples import SeededIndex, SeededSamples

_FETCH = '__getitems__'  # PyTorch's, which its Dataset does not declare


class SeededSampler(Protocol):
    """Sampler that knows its data set and its seed, as MMEngine's do and PyTorch's do not."""

    dataset: Dataset
    seed: int

    def __iter__(self) -> Iterator[int]:
        """Indices of an epoch."""


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(Sampler):
    """A batch sampler that can leave out batches without loading them.

    Random numbers of a sample are those of the run's seed, the process, the epoch, the batch and
    the place in it (:class:`SeededSamples`), so that neither the number of workers nor a resumed
    run changes what a model sees. :class:`mmgab.reliability.AtomicCheckpointHook` sets ``start``.

    Args:
        sampler: Gives indices; MMEngine passes its own. It must know its ``dataset`` and ``seed``,
            as MMEngine's samplers do.
        batch_size: Samples a batch; MMEngine passes the loader's.
        drop_last: Leave out a last batch that is not full.
        batches: Config of another batch sampler that groups the indices,
            ``dict(type='mmdet.AspectRatioBatchSampler')`` for example.

    Attributes:
        start: Batches that the next pass leaves out.

    Raises:
        TypeError: If the sampler has no seed or dataset, or its dataset fetches batches by itself.
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
        """Batches of an epoch, from ``start`` on; the pass after it has all of them."""
        start, self.start = self.start, 0
        of_pass = (self.sampler.seed, _known(self.sampler, 'rank'), _known(self.sampler, 'epoch'))
        for number, batch in enumerate(self.batches):
            if number >= start:
                yield [
                    SeededIndex(index, (*of_pass, number, place))
                    for place, index in enumerate(batch)
                ]

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self.batches)


def _known(sampler: SeededSampler, name: str) -> int:
    """The sampler's process or epoch; 0 where it has none."""
    return getattr(sampler, name, 0)


def _fetch_with_seeds(dataset: Dataset) -> None:
    """Have PyTorch's loader fetch a dataset's samples through :class:`SeededSamples`."""
    fetch = getattr(dataset, _FETCH, None)
    if fetch is not None and not isinstance(fetch, SeededSamples):
        raise TypeError(
            f'ResumableBatchSampler: {type(dataset).__name__} fetches batches by itself '
            f'({_FETCH}), with random numbers that cannot be set sample by sample'
        )
    setattr(dataset, _FETCH, SeededSamples(dataset))
