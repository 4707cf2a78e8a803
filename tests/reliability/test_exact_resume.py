"""Resumed runs end with the weights of an uninterrupted run."""

import functools
import signal

import pytest
import torch

from ..faults.training import config, end_at, train, weights

pytestmark = pytest.mark.process


def workers(count, **settings):
    """Settings of the loader."""
    return {f'train_dataloader.{name}': each for name, each in settings.items()} | {
        'train_dataloader.num_workers': count
    }


long = functools.partial(pytest.param, marks=pytest.mark.long)
NO_WORKERS = {}
LIVING_WORKERS = workers(2, persistent_workers=True)
SERVED_WORKERS = workers(3, multiprocessing_context='forkserver')
BY_ITERATION = {
    'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=14, val_interval=5),
    'train_dataloader.sampler.type': 'InfiniteSampler',
    'default_hooks.checkpoint.by_epoch': False,
    'default_hooks.checkpoint.interval': 4,
}
LENGTHS = {'epoch': ({}, 'epoch_3.pth'), 'iteration': (BY_ITERATION, 'iter_14.pth')}


@pytest.fixture(scope='module')
def undisturbed(nuclei, tmp_path_factory):
    """The last weights of a run without workers that nobody ended."""

    @functools.cache
    def run(length):
        settings, last = LENGTHS[length]
        work_dir = tmp_path_factory.mktemp(length)
        code, log = train(config(work_dir, nuclei, **settings))
        assert code == 0, log
        return weights(work_dir / last)

    return run


def assert_same(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.parametrize(
    ('length', 'loader'),
    [
        ('epoch', workers(1)),
        long('epoch', workers(3, persistent_workers=True)),
        long('epoch', workers(1, persistent_workers=True, multiprocessing_context='spawn')),
        ('epoch', SERVED_WORKERS),
        long('iteration', workers(3, prefetch_factor=4)),
        ('iteration', workers(1, pin_memory=True, multiprocessing_context='forkserver')),
    ],
)
def test_workers_of_the_loader_do_not_change_the_weights(
    undisturbed, length, loader, nuclei, tmp_path
):
    settings, last = LENGTHS[length]
    code, log = train(config(tmp_path, nuclei, **settings, **loader))
    assert code == 0, log
    assert_same(weights(tmp_path / last), undisturbed(length))


@pytest.mark.parametrize(
    ('length', 'line', 'number', 'code', 'loader', 'resumed_loader'),
    [
        ('epoch', 'iter 14', signal.SIGKILL, -9, NO_WORKERS, LIVING_WORKERS),
        long('epoch', 'iter 14', signal.SIGKILL, -9, LIVING_WORKERS, SERVED_WORKERS),
        ('epoch', 'iter 14', signal.SIGTERM, 75, LIVING_WORKERS, NO_WORKERS),  # inside an epoch
        ('epoch', 'begins 18', signal.SIGTERM, 75, NO_WORKERS, NO_WORKERS),  # the last one of it
        ('epoch', 'validating 18 1', signal.SIGINT, 75, NO_WORKERS, LIVING_WORKERS),
        ('iteration', 'iter 7', signal.SIGKILL, -9, NO_WORKERS, LIVING_WORKERS),
        long('iteration', 'iter 7', signal.SIGKILL, -9, LIVING_WORKERS, LIVING_WORKERS),
        long('iteration', 'iter 6', signal.SIGUSR1, 75, SERVED_WORKERS, NO_WORKERS),
    ],
)
def test_resumed_run_is_bit_identical_to_uninterrupted(
    undisturbed, length, line, number, code, loader, resumed_loader, nuclei, tmp_path
):
    settings, last = LENGTHS[length]
    assert end_at(line, number, config(tmp_path, nuclei, **settings, **loader)) == code
    done, log = train(config(tmp_path, nuclei, **settings, **resumed_loader, resume=True))
    assert done == 0, log
    assert 'affect reproducibility' not in log
    assert_same(weights(tmp_path / last), undisturbed(length))


def test_interrupted_validation_runs_after_resuming(nuclei, tmp_path):
    settings = config(tmp_path, nuclei)
    assert end_at('validating 9 2', signal.SIGTERM, settings) == 75
    journal = tmp_path / 'journal'
    assert 'validated 9' not in journal.read_text()
    assert train(config(tmp_path, nuclei, resume=True))[0] == 0
    validated = [line for line in journal.read_text().splitlines() if 'validated' in line]
    assert [line.split()[1] for line in validated] == ['9', '18', '27']


def test_stop_does_not_swap_ema_and_model_weights(nuclei, tmp_path):
    """They are swapped during validation: the run stops after it."""

    def settings(work_dir, **changes):
        result = config(work_dir, nuclei, **changes)
        result.custom_hooks.append(dict(type='EMAHook', momentum=0.1))
        return result

    ended, whole = tmp_path / 'ended', tmp_path / 'whole'
    assert end_at('validating 9 1', signal.SIGTERM, settings(ended)) == 75
    assert 'validated 9' in (ended / 'journal').read_text()
    for work_dir, changes in ((ended, dict(resume=True)), (whole, {})):
        code, log = train(settings(work_dir, **changes))
        assert code == 0, log
    assert_same(weights(ended / 'epoch_3.pth'), weights(whole / 'epoch_3.pth'))
    averages = [
        torch.load(folder / 'epoch_3.pth', weights_only=False)['ema_state_dict']
        for folder in (ended, whole)
    ]
    assert_same(*averages)


def test_run_without_a_seed_resumes_with_its_drawn_seed(nuclei, tmp_path):
    """Its second epoch has the images that it would have had."""
    begun = {'train_cfg.max_epochs': 1, 'randomness.seed': None}
    assert train(config(tmp_path, nuclei, **begun))[0] == 0
    seed = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['meta']['seed']
    more = {'train_cfg.max_epochs': 2, 'randomness.seed': None, 'resume': True}
    assert train(config(tmp_path, nuclei, **more))[0] == 0
    assert torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['meta']['seed'] == seed
    other = tmp_path / 'other'
    whole = {'train_cfg.max_epochs': 2, 'randomness.seed': seed}
    assert train(config(other, nuclei, **whole))[0] == 0
    assert_same(weights(tmp_path / 'epoch_2.pth'), weights(other / 'epoch_2.pth'))


def test_truncated_newest_checkpoint_is_skipped_and_logged(undisturbed, nuclei, tmp_path):
    assert train(config(tmp_path, nuclei, **{'train_cfg.max_epochs': 2}))[0] == 0
    torn = tmp_path / 'epoch_2.pth'
    torn.write_bytes(torn.read_bytes()[:-1000])
    code, log = train(config(tmp_path, nuclei, resume=True))
    assert code == 0, log
    assert f'{torn} is skipped: {torn} cannot be read as a checkpoint' in log
    assert_same(weights(tmp_path / 'epoch_3.pth'), undisturbed('epoch'))


def test_epoch_restarts_without_a_resumable_sampler(nuclei, tmp_path):
    plain = {'train_dataloader.batch_sampler': None, 'train_cfg.max_epochs': 2}
    assert end_at('iter 14', signal.SIGTERM, config(tmp_path, nuclei, **plain)) == 75
    code, log = train(config(tmp_path, nuclei, **plain, resume=True))
    assert code == 0, log
    assert "batch_sampler=dict(type='mmgab.ResumableBatchSampler')" in log
    done = [line for line in (tmp_path / 'journal').read_text().splitlines() if 'iter' in line]
    assert done[-1] == 'iter 18'
    assert done.count('iter 12') == 2
