"""A resumed run reports which settings its checkpoint and its config give differently."""

import pytest
import torch

from mmgab.engine import CheckedRunner
from mmgab.engine.resumed_state import resumed_state

from ..faults.training import config

pytestmark = pytest.mark.slow

SHORT = {
    'train_cfg.max_epochs': 1,
    'train_dataloader.dataset.count': 4,
    'val_dataloader.dataset.count': 1,
}
MILESTONES = dict(
    _delete_=True, type='MultiStepLR', by_epoch=False, end=100, milestones=[50], gamma=0.1
)
POLY = dict(_delete_=True, type='PolyLR', by_epoch=False, end=100, power=0.9)
MOMENTUM = dict(_delete_=True, type='LinearMomentum', start_factor=0.5, by_epoch=False, end=5)
DECAY = {'optim_wrapper.optimizer.weight_decay': 0.01}
AVERAGED = [dict(type='EMAHook', momentum=0.1)]


@pytest.fixture(scope='module')
def begun(nuclei, tmp_path_factory):
    """Trains an epoch of a single step; returns its checkpoint."""
    done = {}

    def train(**changes):
        key = repr(changes)
        if key not in done:
            work_dir = done[key] = tmp_path_factory.mktemp('begun')
            settings = {**SHORT, **changes, 'experiment_name': work_dir.name}
            CheckedRunner.from_cfg(config(work_dir, nuclei, **settings)).train()
        return done[key] / 'epoch_1.pth'

    return train


@pytest.fixture
def warnings_of(nuclei, tmp_path):
    """Resumes a checkpoint, trains no step, and returns the log and the runner."""

    def resume(checkpoint, **changes):
        resumed = {**SHORT, **changes, 'resume': True, 'load_from': str(checkpoint)}
        # Runners that start in the same second have one logger, if their names are the same.
        settings = config(tmp_path, nuclei, experiment_name=tmp_path.name, **resumed)
        runner = CheckedRunner.from_cfg(settings)
        runner.train()
        return ''.join(path.read_text() for path in tmp_path.glob('*/*.log')), runner

    return resume


@pytest.mark.parametrize(
    ('before', 'after', 'reported'),
    [
        ({}, {'optim_wrapper.optimizer.lr': 5e-6}, 'lr 0.001 (config: 5e-06)'),
        ({}, {'optim_wrapper.optimizer.weight_decay': 0.3}, 'weight_decay 0.01 (config: 0.3)'),
        (
            {},
            {'optim_wrapper.optimizer.betas': (0.8, 0.99)},
            'betas [0.9, 0.999] (config: [0.8, 0.99])',
        ),
        (
            {},
            {'optim_wrapper.optimizer.type': 'Adam'},
            'decoupled_weight_decay True (config: False)',
        ),
        ({}, {'param_scheduler.end': 40}, 'param_scheduler[0] (LinearLR) end 20 (config: 40)'),
        (
            {'param_scheduler': MILESTONES},
            {'param_scheduler': {**MILESTONES, 'milestones': [7, 9], 'gamma': 0.5}},
            'milestones [50] (config: [7, 9])',
        ),
        (
            {'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.1, momentum=0.9)},
            {'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.1, momentum=0.5)},
            'momentum 0.9 (config: 0.5)',
        ),
        ({'randomness.seed': 5}, {'randomness.seed': 7}, 'seed 5 (config: 7)'),
        (
            {'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.0), **DECAY},
            {'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.5), **DECAY},
            'weight_decay 0 (config: 0.005)',
        ),
    ],
)  # fmt: skip
def test_replaced_setting_is_logged_with_both_values(before, after, reported, begun, warnings_of):
    log, _ = warnings_of(begun(**before), **{**before, **after})
    assert 'Settings restored from the checkpoint: ' in log
    assert reported in log
    assert 'load_from=' in log


@pytest.mark.parametrize(
    'settings',
    [
        {},
        {'param_scheduler': MILESTONES},
        {'param_scheduler': MOMENTUM},
        {'param_scheduler': None},
        {'custom_hooks': AVERAGED},
        {'randomness.seed': None},
        {'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.0), **DECAY},
        {'train_dataloader.batch_sampler': None},
    ],
    ids=str,
)
def test_unchanged_settings_log_nothing(settings, begun, warnings_of):
    log, _ = warnings_of(begun(**settings), **settings)
    assert 'restored from the checkpoint' not in log
    assert 'EMAHook' not in log


def test_logged_values_are_the_restored_ones(begun, warnings_of):
    _, runner = warnings_of(begun(), **{'optim_wrapper.optimizer.weight_decay': 0.3})
    assert {group['weight_decay'] for group in runner.optim_wrapper.param_groups} == {0.01}


def test_samplers_use_the_checkpoints_seed(begun, warnings_of):
    """MMEngine's own resuming sets it after the samplers are built."""
    _, runner = warnings_of(begun(**{'randomness.seed': 5}), **{'randomness.seed': 7})
    assert runner.train_dataloader.batch_sampler.sampler.seed == runner.seed == 5


def test_changed_batch_size_is_logged(begun, warnings_of):
    log, _ = warnings_of(begun(), **{'train_dataloader.batch_size': 2})
    assert 'The total batch size is 2; it was 4 in the checkpoint' in log


def test_changed_accumulation_is_logged(begun, warnings_of):
    log, _ = warnings_of(begun(), **{'optim_wrapper.accumulative_counts': 2})
    assert 'The total batch size is 8; it was 4 in the checkpoint' in log


def test_changed_schedule_type_is_logged(begun, warnings_of):
    log, _ = warnings_of(begun(), param_scheduler=POLY)
    assert 'is not a PolyLR, as the config has it' in log
    assert 'power' in log


def test_new_schedule_is_logged(begun, warnings_of):
    new = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20)] * 2
    log, _ = warnings_of(begun(), param_scheduler=new)
    assert 'has 1 schedules (param_scheduler), the config has 2' in log


def test_ema_weights_without_ema_hook_are_logged(begun, warnings_of):
    log, _ = warnings_of(begun(custom_hooks=AVERAGED))
    assert 'was saved with an EMAHook, and the config has none' in log


@pytest.mark.parametrize(
    ('after', 'reason'),
    [
        (
            {'optim_wrapper.optimizer': dict(_delete_=True, type='SGD', lr=0.1)},
            'its optimizer is not a SGD (it has no dampening, momentum)',
        ),
        (
            {'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.0), **DECAY},
            'its optimizer has 1 parameter groups',
        ),
    ],
)
def test_state_of_another_optimizer_is_rejected(after, reason, begun, warnings_of):
    with pytest.raises(ValueError, match='cannot be resumed from') as caught:
        warnings_of(begun(), **after)
    assert reason in str(caught.value)
    assert 'load_from' in str(caught.value)


def test_notes_of_older_versions_are_not_logged_as_metrics(begun):
    checkpoint = torch.load(begun(), weights_only=False)
    for part in ('runtime_info', 'resumed_keys'):
        checkpoint['message_hub'][part]['validation_owed'] = False
    hub = resumed_state(checkpoint, 'a.pth')['message_hub']
    logged = [key for key in hub['runtime_info'] if key.startswith(('train', 'val', 'test'))]
    assert logged == []
    assert 'validation_owed' not in hub['resumed_keys']


def test_logged_values_are_truncated_to_one_line(begun, warnings_of):
    path = begun()
    checkpoint = torch.load(path, weights_only=False)
    checkpoint['optimizer']['param_groups'][0]['eps'] = ['\n\x1b[31m' * 1000] * 1000
    torch.save(checkpoint, path)
    log, _ = warnings_of(path)
    line = next(line for line in log.splitlines() if 'restored from the checkpoint' in line)
    assert '(config: 1e-08)' in line
    assert len(line) < 1000
