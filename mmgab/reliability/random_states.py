"""Collect and set the states of the random number generators."""

import random

import numpy as np
import torch


def random_states() -> dict:
    """States of Python's, NumPy's and PyTorch's generators in this process, accelerator included.

    Returns:
        Numbers and tensors only, which are read from a file without running code.
    """
    of_numpy = np.random.get_state(legacy=True)
    assert isinstance(of_numpy, tuple)
    kind, keys, *rest = of_numpy
    states = dict(
        python=random.getstate(),
        numpy=(kind, torch.from_numpy(keys.astype(np.int64)), *rest),
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available():
        states['cuda'] = torch.cuda.get_rng_state()
    return states


def set_random_states(states: dict) -> None:
    """Set what :func:`random_states` got.

    Raises:
        ValueError: If a state is none; NumPy itself reads outside of the state then.
    """
    version, numbers, gauss = states['python']
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = states['numpy']
    if type(rest[0]) is not int or not 0 <= rest[0] <= len(keys):
        raise ValueError(f'the state of NumPy is at {rest[0]!r:.40} of {len(keys)} numbers')
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states['torch'].cpu())
    if 'cuda' in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states['cuda'].cpu())
