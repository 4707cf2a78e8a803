"""A loader without batches raises an error with the images found and its settings."""

import pytest
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from torch.utils.data import DataLoader, IterableDataset

from mmgab.engine import CheckedRunner


@DATASETS.register_module()
class Numbers(BaseDataset):
    """So many samples, of which a filter leaves none if it is asked to."""

    def __init__(self, count, **settings):
        self.count = count
        super().__init__(**settings)

    def load_data_list(self):
        return [dict(number=number) for number in range(self.count)]

    def filter_data(self):
        return [] if self.filter_cfg else self.data_list


def build(count, sampler='DefaultSampler', filter_cfg=None, serialize_data=True, **settings):
    dataset = dict(
        type='Numbers', count=count, ann_file='of_the_numbers.json',
        filter_cfg=filter_cfg, serialize_data=serialize_data,
    )  # fmt: skip
    loader = dict(batch_size=8, dataset=dataset, sampler=dict(type=sampler), **settings)
    return CheckedRunner.build_dataloader(loader, seed=0)


RESUMABLE = dict(type='mmgab.ResumableBatchSampler', drop_last=True)


@pytest.mark.parametrize(
    'settings',
    [dict(drop_last=True), dict(batch_sampler=RESUMABLE), dict(drop_last=True, num_workers=1)],
)
def test_epoch_without_batches_is_rejected(settings):
    with pytest.raises(ValueError, match='0 batches') as refused:
        build(3, **settings)
    for words in ('Numbers', '3 images', 'batch_size=8', 'drop_last=True', 'processes=1'):
        assert words in str(refused.value)


@pytest.mark.parametrize('sampler', ['DefaultSampler', 'InfiniteSampler'])
@pytest.mark.parametrize('settings', [{}, dict(batch_sampler=RESUMABLE), dict(num_workers=1)])
@pytest.mark.parametrize(
    'data',
    [dict(count=0), dict(count=3, filter_cfg=dict(all=True)), dict(count=0, serialize_data=False)],
)
def test_empty_dataset_is_rejected(sampler, settings, data):
    with pytest.raises(ValueError, match='0 images') as refused:
        build(sampler=sampler, **data, **settings)
    assert "Numbers(ann_file='of_the_numbers.json'" in str(refused.value)


def test_empty_dataset_inside_wrappers_is_rejected():
    inner = dict(type='Numbers', count=0, serialize_data=False)
    wrapped = dict(
        type='RepeatDataset', times=5, dataset=dict(type='ConcatDataset', datasets=[inner])
    )
    loader = dict(batch_size=1, dataset=wrapped, sampler=dict(type='DefaultSampler'))
    with pytest.raises(ValueError, match=r'Numbers\(.*\): 0 images'):
        CheckedRunner.build_dataloader(loader)


@pytest.mark.parametrize(
    ('count', 'settings', 'batches'),
    [
        (3, dict(drop_last=False), 1),
        (8, dict(drop_last=True), 1),
        (3, dict(batch_sampler=dict(type='mmgab.ResumableBatchSampler')), 1),
    ],
)
def test_a_loader_with_a_batch_is_built(count, settings, batches):
    assert len(build(count, **settings)) == batches


@pytest.mark.parametrize('settings', [dict(drop_last=True), dict(batch_sampler=RESUMABLE)])
def test_an_endless_sampler_fills_a_batch_from_few_images(settings):
    batch = next(iter(build(3, 'InfiniteSampler', **settings)))
    assert len(batch['sample_idx']) == 8


def test_data_of_unknown_length_is_accepted():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(3))

    loader = DataLoader(Stream(), batch_size=2)
    assert CheckedRunner.build_dataloader(loader) is loader


def test_dataset_errors_are_raised_unchanged():
    with pytest.raises(ValueError, match='no such folder'):
        CheckedRunner.build_dataloader(
            dict(dataset=dict(type='Broken'), batch_size=1, sampler=None)
        )


@DATASETS.register_module()
class Broken(BaseDataset):
    def load_data_list(self):
        raise ValueError('no such folder')
