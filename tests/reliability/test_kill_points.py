"""A run killed before any file operation and resumed leaves the files of an uninterrupted run."""

import functools
import uuid
from pathlib import Path

import pytest
import torch

from mmgab.checkpoints import read_checkpoint
from mmgab.engine import CheckedRunner
from mmgab.reliability import newest_checkpoint

from .kill_points import SIGNALS_ITSELF, empty, files, record, restore, tiny

pytestmark = pytest.mark.slow

long = functools.partial(pytest.param, marks=pytest.mark.long)
SCORES = {2: 3.0, 4: 4.0, 6: 2.0}  # by the number of steps
BY_ITERATION = {
    'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=6, val_interval=2),
    'train_dataloader.sampler.type': 'InfiniteSampler',
    'default_hooks.checkpoint.by_epoch': False,
}
BEST = dict(save_best='error', rule='less')
BOTH = dict(save_best=['error', 'again'], rule=['less', 'less'])
ONLY_BEST = dict(interval=-1, save_last=False, **BEST)


def settings_of(hook, **others):
    return {**others, **{f'default_hooks.checkpoint.{key}': value for key, value in hook.items()}}


def run(settings):
    """Train in this process."""
    settings.experiment_name = uuid.uuid4().hex  # MMEngine keeps what runs of one name noted
    CheckedRunner.from_cfg(settings).train()


def missing_best_files(work_dir):
    """Names of the best checkpoints that the newest one lists and that are not there."""
    newest, _ = newest_checkpoint(work_dir)
    info = read_checkpoint(newest)['message_hub']['runtime_info'] if newest else {}
    listed = {Path(info[key]).name for key in info if key.startswith('best_ckpt')}
    return listed - {path.name for path in work_dir.iterdir()}


@pytest.mark.parametrize(
    'settings',
    [
        settings_of(dict(max_keep_ckpts=1, published_keys=['meta', 'state_dict'], **BEST)),
        long(settings_of(dict(interval=2, max_keep_ckpts=1, **BOTH))),
        settings_of(ONLY_BEST),
        settings_of(dict(interval=3, max_keep_ckpts=1, **BEST), **BY_ITERATION),
    ],
    ids=['published', 'two best', 'only best', 'by iteration'],
)
def test_killed_and_resumed_run_leaves_the_same_files(settings, nuclei, tmp_path):
    work_dir = tmp_path / 'run'
    code, states = record(tiny(work_dir, nuclei, SCORES, **settings), tmp_path / 'states')
    assert code == 0
    expected = files(work_dir)
    assert len(states) > 4
    for state in states:
        assert missing_best_files(state) == set()
        restore(state, work_dir)
        run(tiny(work_dir, nuclei, SCORES, resume=True, **settings))
        assert files(work_dir) == expected, state.name


@pytest.mark.parametrize(
    'settings',
    [
        settings_of(dict(max_keep_ckpts=1, **BEST)),
        long(settings_of(ONLY_BEST)),
        settings_of(dict(interval=4, save_last=False), **BY_ITERATION),
    ],
    ids=['each epoch', 'only best', 'no last one'],
)
def test_run_killed_around_a_signal_leaves_the_same_files(settings, nuclei, tmp_path):
    work_dir = tmp_path / 'run'
    run(tiny(work_dir, nuclei, SCORES, **settings))
    expected = files(work_dir)
    empty(work_dir)
    asked = {'custom_hooks': [dict(type=SIGNALS_ITSELF, iteration=5)]}
    code, states = record(tiny(work_dir, nuclei, SCORES, **settings, **asked), tmp_path / 'before')
    assert code == 75
    assert 'interrupted.pth' in files(work_dir)[0]
    resumed = tiny(work_dir, nuclei, SCORES, resume=True, **settings)
    code, more = record(resumed, tmp_path / 'after')
    assert code == 0
    assert files(work_dir) == expected
    for state in [*states, *more]:
        restore(state, work_dir)
        run(tiny(work_dir, nuclei, SCORES, resume=True, **settings))
        assert files(work_dir) == expected, state


@pytest.mark.parametrize('interval', [1, long(2)])
def test_unlisted_best_file_of_a_worse_step_is_deleted(interval, nuclei, tmp_path):
    """Validation is not deterministic, as on an accelerator: repeating it changes the score."""
    work_dir, settings = tmp_path / 'run', settings_of(dict(interval=interval, **BEST))
    better, worse = {2: 3.0, 4: 2.0, 6: 1.0}, {2: 3.0, 4: 5.0, 6: 5.0}
    _, states = record(tiny(work_dir, nuclei, better, **settings), tmp_path / 'states')
    for state in states:
        restore(state, work_dir)
        run(tiny(work_dir, nuclei, worse, resume=True, **settings))
        best = [name for name in files(work_dir)[0] if name.startswith('best')]
        info = read_checkpoint(work_dir / 'epoch_3.pth')['message_hub']['runtime_info']
        assert best == [Path(info['best_ckpt']).name], state


def test_best_files_of_another_run_are_kept(nuclei, tmp_path):
    """Also where this run validates the same step, and deletes its own."""
    settings = settings_of(dict(max_keep_ckpts=1, **BEST))
    run(tiny(tmp_path, nuclei, {2: 2.0, 4: 1.0, 6: 3.0}, **settings))
    (tmp_path / 'best_error_epoch_2.pth').rename(tmp_path / 'best_error_epoch_3.pth')
    torch.save({}, tmp_path / 'best_error_epoch_2.pth')
    run(tiny(tmp_path, nuclei, {2: 3.0, 4: 4.0, 6: 5.0}, **settings))
    found = [name for name in files(tmp_path)[0] if name.startswith('best')]
    assert found == ['best_error_epoch_1.pth', 'best_error_epoch_2.pth', 'best_error_epoch_3.pth']
