"""Samples whose random numbers depend on their place in the run, not on who makes them when."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import Dataset


class SeededIndex(int):
    """An index into a dataset, with the seed of the sample's random numbers.

    Args:
        index: The sample's.
        seed: Non-negative numbers; samples with the same ones are augmented alike.
    """

    seed: tuple[int, ...]

    def __new__(cls, index: int, seed: tuple[int, ...]) -> 'SeededIndex':
        """Make an int with a seed."""
        seeded = super().__new__(cls, index)
        seeded.seed = seed
        return seeded

    def __getnewargs__(  # type: ignore[override]  # of int: its own arguments, whatever a class adds
        self,
    ) -> tuple[int, tuple[int, ...]]:
        """Arguments of a copy, which workers get."""
        return int(self), self.seed


class SeededSamples:
    """Fetches samples of a dataset, each with random numbers of its own.

    Workers that live from epoch to epoch carry their random numbers on, which a resumed run cannot
    have; here it does not matter how many workers there are and since when. The random numbers of
    the process that fetches, where the model may take its own from, are left as they were.
    Augmentations that keep generators of their own, or samples of before, are not covered.

    Args:
        dataset: What to fetch from.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, places: Sequence[SeededIndex]) -> list:
        """Samples of a batch; the signature is PyTorch's ``Dataset.__getitems__``."""
        return [self._fetch(int(place), place.seed) for place in places]

    def _fetch(self, index: int, seed: tuple[int, ...]) -> object:
        with _random_numbers(seed):
            return self.dataset[index]


@contextmanager
def _random_numbers(seed: tuple[int, ...]) -> Iterator[None]:
    """Random numbers of Python, NumPy and PyTorch from a seed; later those of before."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    for_python, for_numpy, for_torch = np.random.SeedSequence(seed).generate_state(3)
    random.seed(int(for_python))
    np.random.seed(for_numpy)
    # torch.manual_seed would seed accelerators as well, whose state is not kept here.
    torch.default_generator.manual_seed(int(for_torch))
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
