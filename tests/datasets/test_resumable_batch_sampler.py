import pickle

import numpy as np
import pytest
import torch
from mmdet.datasets.samplers import AspectRatioBatchSampler  # noqa: F401  registers it
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader, Dataset

from mmgab.datasets import ResumableBatchSampler


class Noise(Dataset):
    """Samples of random numbers; wide and high ones in turn."""

    def __len__(self):
        return 11

    def __getitem__(self, index):
        return torch.tensor([index, np.random.rand(), torch.rand(())])

    def get_data_info(self, index):
        return dict(width=1 + index % 2, height=1.5)


def batches(workers=0, start=0, kind=DefaultSampler, epoch=0, seed=5, **settings):
    """Samples of the first four batches from a place on."""
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
def test_a_pass_that_begins_later_has_the_same_samples_from_there_on(kind, grouped):
    whole = batches(kind=kind, batches=grouped)
    assert_equal(batches(kind=kind, batches=grouped, start=2)[:2], whole[2:])


@pytest.mark.parametrize('kind', [DefaultSampler, InfiniteSampler])
def test_the_number_of_workers_does_not_change_samples(kind):
    alone = batches(kind=kind)
    for workers in (1, 2):
        assert_equal(batches(workers, kind=kind), alone)


def test_epochs_and_seeds_have_other_random_numbers():
    numbers = {
        tuple(torch.cat(batches(epoch=epoch, seed=seed))[:, 1].tolist())
        for epoch in (0, 1)
        for seed in (5, 6)
    }
    assert len(numbers) == 4
    alike = torch.cat(batches())[:, 1:]
    assert len(alike.unique()) == alike.numel()


def test_the_random_numbers_of_the_process_are_left_as_they_were():
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(()), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    for place in ResumableBatchSampler(DefaultSampler(data := Noise(), seed=1), 2):
        data.__getitems__(place)
    assert (torch.rand(()), np.random.rand()) == expected


def test_the_pass_after_one_that_began_later_is_whole():
    resumable = ResumableBatchSampler(DefaultSampler(Noise(), seed=1), 2)
    resumable.start = 4
    assert [len(list(resumable)) for _ in range(2)] == [2, 6]
    assert len(resumable) == 6


def test_a_last_batch_that_is_not_full_can_be_left_out():
    assert len(list(ResumableBatchSampler(DefaultSampler(Noise(), seed=1), 2, drop_last=True))) == 5


def test_samplers_and_datasets_that_cannot_be_seeded_are_named():
    plain = torch.utils.data.SequentialSampler(Noise())
    with pytest.raises(TypeError, match="SequentialSampler has no 'dataset'"):
        ResumableBatchSampler(plain, 2)
    sampler = DefaultSampler(Noise(), seed=1)
    sampler.dataset.__getitems__ = lambda indices: []
    with pytest.raises(TypeError, match='Noise fetches batches by itself'):
        ResumableBatchSampler(sampler, 2)


def test_indices_are_ints_and_keep_their_seed_on_the_way_to_a_worker():
    """As those of PyTorch's samplers are, for whoever looks at them between."""
    sampler = DefaultSampler(Noise(), shuffle=False, seed=5)
    indices = [index for batch in ResumableBatchSampler(sampler, 2) for index in batch]
    assert indices == list(range(11))
    assert all(isinstance(index, int) for index in indices)
    assert np.arange(11)[indices].tolist() == indices
    sent = pickle.loads(pickle.dumps(indices))
    assert [index.seed for index in sent] == [index.seed for index in indices]
    assert len({index.seed for index in sent}) == 11
