"""A resumed run makes the validation that was due when the run stopped."""

import functools
import signal

import pytest
import torch

from ..faults.training import config, end_at, train

pytestmark = pytest.mark.process

long = functools.partial(pytest.param, marks=pytest.mark.long)
# Three epochs of five iterations, or twelve iterations.
BY_EPOCH = {'train_dataloader.batch_size': 8}
BY_ITERATION = {
    'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=12, val_interval=4),
    'train_dataloader.sampler.type': 'InfiniteSampler',
    'default_hooks.checkpoint.by_epoch': False,
    'default_hooks.checkpoint.interval': 4,
}
BEST = {'default_hooks.checkpoint.save_best': 'error', 'default_hooks.checkpoint.rule': 'less'}


def settings(work_dir, nuclei, kill=None, **changes):
    """Settings of a run that is killed in a stage at an iteration, if it is."""
    result = config(work_dir, nuclei, **changes)
    if kill is not None:
        stage, iteration = kill
        result.custom_hooks.append(dict(type='KillAt', stage=stage, iteration=iteration))
    return result


def run(work_dir, nuclei, *kills, **changes):
    """Train and resume until nothing kills the run; returns its validations, in order."""
    for number, kill in enumerate(kills):
        code, log = train(settings(work_dir, nuclei, kill, resume=number > 0, **changes))
        assert code == -signal.SIGKILL, log
    code, log = train(settings(work_dir, nuclei, resume=bool(kills), **changes))
    assert code == 0, log
    return validations(work_dir)


def validations(work_dir):
    """Iterations and scores, as the journal has them."""
    lines = (work_dir / 'journal').read_text().splitlines()
    return [line.split()[1:] for line in lines if line.startswith('validated')]


def left(work_dir):
    """Checkpoints of a folder: weights, and what is known of the best score."""
    files = {path.name: torch.load(path, weights_only=False) for path in work_dir.glob('*.pth')}
    return {
        name: (file['state_dict'], file['message_hub']['runtime_info'].get('best_score'))
        for name, file in files.items()
    }


@pytest.fixture(scope='module')
def undisturbed(nuclei, tmp_path_factory):
    """Validations and files of runs that nobody killed, by epoch and by iteration."""
    found = []
    for loop in (BY_EPOCH, BY_ITERATION):
        work_dir = tmp_path_factory.mktemp('undisturbed')
        found.append((run(work_dir, nuclei, **loop, **BEST), left(work_dir)))
    return found


@pytest.mark.parametrize(
    ('loop', 'kills'),
    [
        (BY_EPOCH, [('before_val', 10)]),  # due, not begun
        (BY_EPOCH, [('after_val_iter', 10), ('after_val_iter', 10)]),  # killed twice in it
        long(BY_EPOCH, [('after_val_iter', 15)]),  # the last one
        long(BY_ITERATION, [('before_val', 8)]),
        (BY_ITERATION, [('after_val_iter', 12)]),
    ],
)
def test_killed_validation_repeats_with_the_same_results(
    undisturbed, loop, kills, nuclei, tmp_path
):
    expected, files = undisturbed[loop is BY_ITERATION]
    assert run(tmp_path, nuclei, *kills, **loop, **BEST) == expected
    found = left(tmp_path)
    assert found.keys() == files.keys()
    for name, (weights, best) in files.items():
        assert found[name][1] == best
        assert all(torch.equal(found[name][0][key], weights[key]) for key in weights)


def test_recorded_validation_is_not_repeated(undisturbed, nuclei, tmp_path):
    """The first one is the best so far: the checkpoint is saved once more, with its score."""
    kill = 'before_train_iter', 5
    assert run(tmp_path, nuclei, kill, **BY_EPOCH, **BEST) == undisturbed[0][0]


def test_unrecorded_validation_repeats_with_the_same_score(undisturbed, nuclei, tmp_path):
    first, *others = undisturbed[0][0]
    kill = 'before_train_iter', 5
    assert run(tmp_path, nuclei, kill, **BY_EPOCH) == [first, first, *others]


@pytest.mark.parametrize(
    ('intervals', 'expected'),
    [
        (dict(val_interval=2), ['10', '15']),
        (dict(val_begin=2), ['10', '15']),
        (dict(val_interval=5, dynamic_intervals=[(2, 1)]), ['5', '5', '10', '15']),
    ],
)
def test_resumed_run_validates_first_if_due(intervals, expected, nuclei, tmp_path):
    """At the second epoch of a run that was killed there."""
    intervals = {f'train_cfg.{name}': value for name, value in intervals.items()}
    made = run(tmp_path, nuclei, ('before_train_iter', 5), **BY_EPOCH, **intervals)
    assert [iteration for iteration, _ in made] == expected


def test_run_stopped_inside_an_epoch_does_not_validate_first(nuclei, tmp_path):
    assert end_at('iter 7', signal.SIGTERM, config(tmp_path, nuclei, **BY_EPOCH)) == 75
    assert train(config(tmp_path, nuclei, **BY_EPOCH, resume=True))[0] == 0
    assert [iteration for iteration, _ in validations(tmp_path)] == ['5', '10', '15']
