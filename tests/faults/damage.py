"""Damage a checkpoint at random, and check that it is rejected or reads as saved."""

import random
from collections import Counter
from pathlib import Path

import torch

from mmgab.checkpoints import read_checkpoint


def equal(one, other):
    """Return whether two things that a checkpoint holds are the same, tensors bit by bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and (one == other or hasattr(one, '__dict__'))


def damage_repeatedly(path, times, seed, tell=lambda text: None):
    """Truncate the file or flip one of its bits that often; returns how often it ended how."""
    whole, intact = Path(path).read_bytes(), read_checkpoint(path)
    chance, copy, outcomes = random.Random(seed), Path(path).with_name('damaged.pth'), Counter()
    for number in range(times):
        content = bytearray(whole)
        if chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        else:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        copy.write_bytes(content)
        try:
            same = equal(intact, read_checkpoint(copy))
            outcomes['harmless' if same else 'loaded though damaged'] += 1
        except ValueError:
            outcomes['refused'] += 1
        if (number + 1) % 100 == 0:
            tell(f'{number + 1}/{times} damaged files')
    copy.unlink()
    return outcomes
