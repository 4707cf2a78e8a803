import pickle

import numpy as np
import pytest
import torch
from mmdet.datasets.samplers import AspectRatioBatchSampler  # noqa: F401  registers it
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, Dataset

from mmgab.datasets import ResumableBatchSampler


class Noise(Dataset):
    """Dataset of random numbers, alternately landscape and portrait."""

    def __len__(self):
        return 11

    def __getitem__(self, index):
        return torch.tensor([index, np.random.rand(), torch.rand(())])

    def get_data_info(self, index):
        return dict(width=1 + index % 2, height=1.5)


def batches(workers=0, start=0, kind=DefaultSampler, epoch=0, seed=5, **settings):
    """Return the samples of four batches, from batch ``start`` on."""
    sampler = kind(Noise(), shuffle=True, seed=seed)
    sampler.set_epoch(epoch)
    resumable = ResumableBatchSampler(sampler, 2, **settings)
    resumable.start = start
    loader = DataLoader(sampler.dataset, batch_sampler=resumable, num_workers=workers)
    return [batch for batch, _ in zip(loader, range(4), strict=False)]


def assert_equal(one, other):
    assert len(one) == len(other)
    assert all(map(torch.equal, one, other))


@pytest.mark.parametrize('kind', [DefaultSampler, InfiniteSampler])
@pytest.mark.parametrize('grouped', [None, dict(type='mmdet.AspectRatioBatchSampler')])
def test_resumed_epoch_has_the_same_remaining_samples(kind, grouped):
    complete = batches(kind=kind, batches=grouped)
    assert_equal(batches(kind=kind, batches=grouped, start=2)[:2], complete[2:])


@pytest.mark.parametrize('kind', [DefaultSampler, InfiniteSampler])
def test_the_number_of_workers_does_not_change_samples(kind):
    alone = batches(kind=kind)
    for workers in (1, 2):
        assert_equal(batches(workers, kind=kind), alone)


def test_random_numbers_differ_between_epochs_and_seeds():
    numbers = {
        tuple(torch.cat(batches(epoch=epoch, seed=seed))[:, 1].tolist())
        for epoch in (0, 1)
        for seed in (5, 6)
    }
    assert len(numbers) == 4
    numbers_of_epoch = torch.cat(batches())[:, 1:]
    assert len(numbers_of_epoch.unique()) == numbers_of_epoch.numel()


def test_random_state_of_the_process_is_restored():
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(()), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    for place in ResumableBatchSampler(DefaultSampler(data := Noise(), seed=1), 2):
        data.__getitems__(place)
    assert (torch.rand(()), np.random.rand()) == expected


def test_epoch_after_a_resumed_one_is_complete():
    resumable = ResumableBatchSampler(DefaultSampler(Noise(), seed=1), 2)
    resumable.start = 4
    assert [len(list(resumable)) for _ in range(2)] == [2, 6]
    assert len(resumable) == 6


def test_drop_last_drops_an_incomplete_batch():
    assert len(list(ResumableBatchSampler(DefaultSampler(Noise(), seed=1), 2, drop_last=True))) == 5


def test_unseedable_samplers_and_datasets_raise_an_error():
    plain = torch.utils.data.SequentialSampler(Noise())
    with pytest.raises(TypeError, match="SequentialSampler has no 'dataset'"):
        ResumableBatchSampler(plain, 2)
    sampler = DefaultSampler(Noise(), seed=1)
    sampler.dataset.__getitems__ = lambda indices: []
    with pytest.raises(
        TypeError,
        match='Noise defines __getitems__, so its random numbers cannot be seeded per sample',
    ):
        ResumableBatchSampler(sampler, 2)


def test_indices_are_ints_and_keep_their_seed_when_pickled():
    """Other code may use the indices as those of PyTorch's samplers."""
    sampler = DefaultSampler(Noise(), shuffle=False, seed=5)
    indices = [index for batch in ResumableBatchSampler(sampler, 2) for index in batch]
    assert indices == list(range(11))
    assert all(isinstance(index, int) for index in indices)
    assert np.arange(11)[indices].tolist() == indices
    sent = pickle.loads(pickle.dumps(indices))
    assert [index.seed for index in sent] == [index.seed for index in indices]
    assert len({index.seed for index in sent}) == 11
