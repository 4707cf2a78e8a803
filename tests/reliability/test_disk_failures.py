"""Disk failures during training stop the run, or are logged once and training continues."""

import json
import os
import re
import stat
import uuid

import pytest

from mmgab.engine import CheckedRunner
from mmgab.reliability import newest_checkpoint

from ..faults.training import train, train_together
from .disks import mount, unmount
from .kill_points import SIGNALS_ITSELF, files, tiny

pytestmark = pytest.mark.process

SCORES = {2: 3.0, 4: 2.0, 6: 1.0}
BEST = dict(max_keep_ckpts=1, save_best='error', rule='less')


@pytest.fixture
def disk(tmp_path):
    """A disk of 1 MiB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder)
    yield folder
    unmount(folder)


def settings_of(work_dir, nuclei, on_failure, disk_changes=(), hook=None, **changes):
    hook = dict(on_failure=on_failure, **(hook or {}))
    changes = {
        'log_level': 'INFO',
        'default_hooks.logger.interval': 1,
        'custom_hooks': [
            dict(
                type='tests.reliability.disks.ChangesDisk',
                changes=[(when, what, str(p)) for when, what, p in disk_changes],
            )
        ],
        **{f'default_hooks.checkpoint.{key}': value for key, value in hook.items()},
        **changes,
    }
    return tiny(work_dir, nuclei, SCORES, **changes)


def run(*args, hook=None, **changes):
    """Train in this process, which signals do not end."""
    settings = settings_of(*args, hook=dict(stop_signals=(), **(hook or {})), **changes)
    settings.experiment_name = uuid.uuid4().hex
    CheckedRunner.from_cfg(settings).train()


def said(output, pattern):
    """Lines of the output that match."""
    return [line for line in output.splitlines() if re.search(pattern, line)]


def test_run_continues_on_a_full_disk_and_logs_it_once(disk, nuclei, tmp_path, capfd):
    work_dir = disk / 'run'
    run(work_dir, nuclei, 'go_on', [('iter 3', 'fill', disk), ('iter 5', 'free', disk)], hook=BEST)
    assert files(work_dir) == (['best_error_epoch_3.pth', 'epoch_3.pth'], 'epoch_3.pth')
    output = ''.join(capfd.readouterr())
    assert 'Traceback' not in output
    for name in (
        r'\d+\.log',
        'LocalVisBackend',
        'checkpoint epoch_2.pth',
        'best_error_epoch_2.pth',
    ):
        assert len(said(output, rf'ERROR .*{name}.* cannot be written.*: No space left')) == 1, name
    for name in (r'\d+\.log', 'LocalVisBackend', '- checkpoints in', '- best checkpoints in'):
        assert len(said(output, rf'WARNING .*{name}.* can be written again')) == 1, name
    (log,), (scalars,) = work_dir.rglob('*.log'), work_dir.rglob('scalars.json')
    assert 'after 6' in log.read_text()
    assert json.loads(scalars.read_text().splitlines()[-1])['error'] == 1.0


def test_log_on_a_full_disk_stops_the_run(disk, nuclei, tmp_path):
    work_dir = disk / 'run'
    with pytest.raises(
        RuntimeError, match=r'run/\d+_\d+/\d+_\d+.log cannot be written: No space left'
    ):
        run(work_dir, nuclei, 'stop', [('iter 3', 'fill', disk)])


def test_visualizer_on_a_full_disk_stops_the_run(disk, nuclei, tmp_path):
    visualizer = dict(
        type='Visualizer', vis_backends=[dict(type='LocalVisBackend')], save_dir=str(disk)
    )
    with pytest.raises(
        RuntimeError, match=r'disk/vis_data/ \(LocalVisBackend\) cannot be written: No'
    ):
        run(tmp_path / 'run', nuclei, 'stop', [('iter 3', 'fill', disk)], visualizer=visualizer)


@pytest.mark.parametrize(
    ('instant', 'newest'),
    [
        ('iter 3', r'epoch_1\.pth is unchanged \(iteration 2\)'),
        ('begin', 'there is no earlier checkpoint'),
    ],
)
def test_run_without_its_last_checkpoint_fails(instant, newest, disk, nuclei, tmp_path):
    out_dir = {'out_dir': str(disk)}
    with pytest.raises(RuntimeError, match=rf'but its last checkpoint epoch_3\.pth .*{newest}'):
        run(tmp_path / 'run', nuclei, 'go_on', [(instant, 'fill', disk)], hook=out_dir)


@pytest.mark.parametrize(
    ('change', 'failing'), [('fill', 'best_error_epoch_3.pth'), ('hold', 'epoch_3.pth')]
)
def test_run_whose_last_state_is_saved_succeeds(change, failing, disk, nuclei, tmp_path, capfd):
    """Though no file has the best one, or the last file does not know of it."""
    path = disk if change == 'fill' else disk / 'run' / failing
    hook = {'out_dir': str(disk), **BEST}
    run(tmp_path / 'run', nuclei, 'go_on', [('val 6', change, path)], hook=hook)
    assert 'epoch_3.pth' in files(disk / 'run')[0]
    assert 'best_error_epoch_2.pth' in files(disk / 'run')[0]
    failed = said(capfd.readouterr().out, f'ERROR .*checkpoint {failing} cannot be written')
    assert len(failed) == 1
    assert failed[0].count('epoch_3.pth is unchanged') == (change == 'fill')


@pytest.mark.parametrize(
    ('change', 'back', 'problem'),
    [
        ('hold', 'let go', 'Device or resource busy'),
        ('protect', 'unprotect', 'Operation not permitted'),
    ],
)
@pytest.mark.parametrize('name', ['epoch_1.pth', 'best_error_epoch_1.pth'])
def test_undeletable_file_is_deleted_later(name, change, back, problem, nuclei, tmp_path, capfd):
    held = tmp_path / name
    run(tmp_path, nuclei, 'go_on', [('iter 3', change, held), ('iter 5', back, held)], hook=BEST)
    assert files(tmp_path)[0] == ['best_error_epoch_3.pth', 'epoch_3.pth']
    output = capfd.readouterr().out
    assert len(said(output, rf'ERROR .*/{name} cannot be deleted: {problem}')) == 1
    assert len(said(output, rf'WARNING .*/{name} can be deleted again')) == 1


def test_old_best_file_is_kept_until_new_one_is_listed(nuclei, tmp_path):
    held = tmp_path / 'epoch_2.pth'  # so that it cannot be saved again
    two = {'train_cfg.max_epochs': 2}
    run(tmp_path, nuclei, 'go_on', [('val 4', 'hold', held)], hook=BEST, **two)
    found = ['best_error_epoch_1.pth', 'best_error_epoch_2.pth', 'epoch_2.pth']
    assert files(tmp_path)[0] == found
    unmount(held)
    run(tmp_path, nuclei, 'go_on', hook=BEST, resume=True)
    assert files(tmp_path)[0] == ['best_error_epoch_3.pth', 'epoch_3.pth']


def test_undeletable_file_stops_run_deleted_after_resume(nuclei, tmp_path):
    held = tmp_path / 'best_error_epoch_1.pth'
    with pytest.raises(RuntimeError, match=r'best_error_epoch_1\.pth cannot be deleted: Device'):
        run(tmp_path, nuclei, 'stop', [('iter 3', 'hold', held)], hook=BEST)
    unmount(held)
    run(tmp_path, nuclei, 'stop', hook=BEST, resume=True)
    assert files(tmp_path)[0] == ['best_error_epoch_3.pth', 'epoch_3.pth']


def test_run_survives_a_temporarily_read_only_disk(disk, nuclei, tmp_path, capfd):
    hook = {'out_dir': str(disk), **BEST}
    changes = [('iter 3', 'read-only', disk), ('iter 5', 'writable', disk)]
    run(tmp_path / 'run', nuclei, 'go_on', changes, hook=hook)
    assert files(disk / 'run')[0] == ['best_error_epoch_3.pth', 'epoch_3.pth']
    output = capfd.readouterr().out
    assert said(output, 'ERROR .*epoch_2.pth cannot be written.*: Read-only file system')
    assert (
        len(said(output, 'WARNING .*checkpoints in .* can be written again')) == 2
    )  # and the best


def test_unwritable_note_keeps_older_checkpoints(nuclei, tmp_path, capfd):
    """A folder in its place: the note names none of them."""
    (tmp_path / 'last_checkpoint').mkdir()
    run(tmp_path, nuclei, 'go_on', hook=BEST)
    assert files(tmp_path)[0] == [
        'best_error_epoch_1.pth', 'best_error_epoch_2.pth', 'best_error_epoch_3.pth',
        'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth',
    ]  # fmt: skip
    assert len(said(capfd.readouterr().out, r'ERROR .*last_checkpoint cannot be written')) == 1
    assert newest_checkpoint(tmp_path)[0] == str(tmp_path / 'epoch_3.pth')
    (tmp_path / 'last_checkpoint').rmdir()
    run(tmp_path, nuclei, 'go_on', hook=BEST, resume=True)
    assert files(tmp_path) == (['best_error_epoch_3.pth', 'epoch_3.pth'], 'epoch_3.pth')


def test_unwritable_note_stops_the_run(nuclei, tmp_path):
    (tmp_path / 'last_checkpoint').mkdir()
    with pytest.raises(RuntimeError, match=r'/last_checkpoint cannot be written: Is a directory'):
        run(tmp_path, nuclei, 'stop', hook=BEST)
    assert newest_checkpoint(tmp_path)[0] == str(tmp_path / 'epoch_1.pth')


PUBLISHED = dict(published_keys=['meta', 'state_dict'], **BEST)


def test_publishing_on_a_full_disk_is_logged(disk, nuclei, tmp_path, capfd):
    hook = {'out_dir': str(disk), **PUBLISHED}
    run(tmp_path / 'run', nuclei, 'go_on', [('end', 'fill', disk)], hook=hook)
    assert files(disk / 'run')[0] == ['best_error_epoch_3.pth', 'epoch_3.pth']
    assert len(said(capfd.readouterr().out, r'ERROR .*pth cannot be published: No space left')) == 2


def test_publishing_on_a_full_disk_stops_the_run(disk, nuclei, tmp_path):
    hook = {'out_dir': str(disk), **PUBLISHED}
    with pytest.raises(RuntimeError, match=r'epoch_3\.pth cannot be published: No space left'):
        run(tmp_path / 'run', nuclei, 'stop', [('end', 'fill', disk)], hook=hook)


def test_missing_best_file_is_not_published(nuclei, tmp_path, capfd):
    run(
        tmp_path,
        nuclei,
        'stop',
        [('end', 'delete', tmp_path / 'best_error_epoch_3.pth')],
        hook=PUBLISHED,
    )
    assert files(tmp_path)[0] == ['epoch_3', 'epoch_3.pth']
    assert len(said(capfd.readouterr().out, r'best_error_epoch_3.pth is not published')) == 1


@pytest.mark.parametrize(
    ('instant', 'code', 'sentence'),
    [
        ('iter 3', 75, r'exit code 75; --resume resumes from .*/epoch_1\.pth, iteration 2$'),
        (
            'begin',
            1,
            r'RuntimeError: SIGTERM: stopped after iteration 3, .* no checkpoint to resume from$',
        ),
    ],
)
def test_signal_on_a_full_disk_reports_the_newest_checkpoint(
    instant, code, sentence, disk, nuclei, tmp_path
):
    work_dir = tmp_path / 'run'
    settings = settings_of(
        work_dir, nuclei, 'go_on', [(instant, 'fill', disk)], hook={'out_dir': str(disk)}
    )
    settings.custom_hooks.append(dict(type=SIGNALS_ITSELF, iteration=3))
    found, output = train(settings)
    assert found == code, output
    assert re.search(sentence, output.strip().splitlines()[-1])


def test_signal_on_a_full_disk_stops_the_run(disk, nuclei, tmp_path):
    work_dir = tmp_path / 'run'
    settings = settings_of(
        work_dir, nuclei, 'stop', [('iter 3', 'fill', disk)], hook={'out_dir': str(disk)}
    )
    settings.custom_hooks.append(dict(type=SIGNALS_ITSELF, iteration=3))
    code, output = train(settings)
    assert code == 1
    assert 'interrupted.pth cannot be written to' in output.strip().splitlines()[-1]


@pytest.mark.parametrize(('on_failure', 'codes'), [('stop', [1, 1]), ('go_on', [0, 0])])
def test_ranks_agree_on_a_full_disk(on_failure, codes, disk, nuclei, tmp_path):
    settings = settings_of(
        tmp_path / 'run', nuclei, on_failure, [('iter 2', 'fill', disk), ('iter 3', 'free', disk)],
        hook={'out_dir': str(disk), **BEST}, **{'train_dataloader.batch_size': 1},
    )  # fmt: skip
    found, output = train_together(settings)
    assert found == codes, output
    if on_failure == 'stop':
        assert len(said(output, 'RuntimeError: checkpoint epoch_1.pth cannot be written')) == 2
    else:
        assert files(disk / 'run')[0] == ['best_error_epoch_3.pth', 'epoch_3.pth']
        assert len(said(output, 'ERROR .*checkpoint epoch_1.pth cannot be written')) == 1


@pytest.mark.parametrize('on_failure', ['stop', 'go_on'])
def test_failed_folder_fsync_keeps_older_checkpoints(on_failure, nuclei, tmp_path, monkeypatch):
    """A disk whose fsync fails cannot be had here."""
    fsync = os.fsync

    def fail_for_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode) and (tmp_path / 'epoch_2.pth').exists():
            raise OSError(5, 'Input/output error')
        fsync(handle)

    monkeypatch.setattr(os, 'fsync', fail_for_folders)
    with pytest.raises(
        RuntimeError, match=r'epoch_[23]\.pth .*epoch_1\.pth is unchanged \(iteration 2\)'
    ):
        run(tmp_path, nuclei, on_failure, hook=dict(max_keep_ckpts=1))
    assert (tmp_path / 'epoch_1.pth').exists()


def test_failed_resave_reports_unchanged_checkpoint(nuclei, tmp_path):
    held = tmp_path / 'epoch_2.pth'
    with pytest.raises(RuntimeError) as error:
        run(tmp_path, nuclei, 'stop', [('val 4', 'hold', held)], hook=BEST)
    unmount(held)
    assert 'the checkpoint saved before at iteration 4 is unchanged' in str(error.value)
    assert str(error.value).count('epoch_2.pth') == 1
    run(tmp_path, nuclei, 'stop', hook=BEST, resume=True)
    assert files(tmp_path)[0] == ['best_error_epoch_3.pth', 'epoch_3.pth']
