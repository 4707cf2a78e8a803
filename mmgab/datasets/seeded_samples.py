"""Seed the augmentation of each sample by its position in the run."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import Dataset


class SeededIndex(int):
    """Dataset index with the seed of the sample's random numbers.

    Args:
        index: Index of the sample.
        seed: Non-negative numbers; samples with equal seeds get equal random numbers.
    """

    seed: tuple[int, ...]

    def __new__(cls, index: int, seed: tuple[int, ...]) -> 'SeededIndex':
        """Create an int with a seed."""
        seeded = super().__new__(cls, index)
        seeded.seed = seed
        return seeded

    def __getnewargs__(  # type: ignore[override]  # int has one argument
        self,
    ) -> tuple[int, tuple[int, ...]]:
        """Return the arguments for unpickling in a worker."""
        return int(self), self.seed


class SeededSamples:
    """Fetcher of dataset samples that seeds the random numbers of each sample.

    Persistent workers keep their random state between epochs, which a resumed run cannot restore;
    with a seed per sample the number and age of workers do not matter. The random state of the
    fetching process is restored afterwards, as the model may use it. Augmentations with their own
    generators, or with earlier samples, are not covered.

    Args:
        dataset: The dataset to fetch from.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, indices: Sequence[SeededIndex]) -> list:
        """Return the samples of a batch; the signature is PyTorch's ``Dataset.__getitems__``."""
        return [self._fetch(int(index), index.seed) for index in indices]

    def _fetch(self, index: int, seed: tuple[int, ...]) -> object:
        with _random_numbers(seed):
            return self.dataset[index]


@contextmanager
def _random_numbers(seed: tuple[int, ...]) -> Iterator[None]:
    """Seed Python, NumPy and PyTorch, and restore their random states afterwards."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    for_python, for_numpy, for_torch = np.random.SeedSequence(seed).generate_state(3)
    random.seed(int(for_python))
    np.random.seed(for_numpy)
    # torch.manual_seed would also seed accelerators, whose state is not restored here.
    torch.default_generator.manual_seed(int(for_torch))
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
