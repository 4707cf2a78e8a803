"""The short form of `make test-faults`: processes killed, disks filled, files damaged, for real."""

import os
import re
import resource
import signal
import subprocess
import time

import pytest

from mmgab.checkpoints import read_checkpoint
from mmgab.reliability import newest_checkpoint

from .damage import damage_repeatedly
from .kills import kill_repeatedly
from .training import config, start, train, wait_for

pytestmark = pytest.mark.process


def test_killed_runs_match_uninterrupted_runs(nuclei, tmp_path):
    figures = kill_repeatedly(tmp_path, nuclei, kills=5, seed=0)
    assert figures.kills == 5
    assert figures.while_saving > 0
    assert figures.torn == []
    assert figures.lost == 0
    assert figures.same


def test_damaged_checkpoint_is_rejected_or_intact(nuclei, tmp_path):
    assert train(config(tmp_path, nuclei, **{'train_cfg.max_epochs': 1}))[0] == 0
    outcomes = damage_repeatedly(tmp_path / 'epoch_1.pth', 150, seed=0)
    assert outcomes['loaded though damaged'] == 0
    assert outcomes['refused'] > 100


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 5 MiB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=5m', 'tmpfs', folder]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'a small disk needs the right to mount: {done.stderr.strip()}')
    yield folder
    subprocess.run(['umount', '-l', folder], check=True)


def sized(nuclei, work_dir, on_failure):
    """Files of 1.8 MB: two fit on the disk, three do not."""
    return config(
        work_dir, nuclei, **{
            'model.ballast': 100_000,
            'default_hooks.checkpoint.out_dir': str(work_dir / 'disk'),
            'default_hooks.checkpoint.on_failure': on_failure,
        },
    )  # fmt: skip


def test_full_disk_stops_the_run_and_keeps_files(small_disk, nuclei, tmp_path):
    code, log = train(sized(nuclei, tmp_path, 'stop'))
    assert code == 1
    last = log.strip().splitlines()[-1]

    assert re.search(r'checkpoint epoch_3.pth cannot be written to .*disk/\S+: No space left', last)
    assert 'epoch_2.pth is unchanged' in last
    path, skipped = newest_checkpoint(tmp_path, out_dir=str(small_disk))
    assert path.endswith('epoch_2.pth')
    assert skipped == []
    assert read_checkpoint(path)['meta']['epoch'] == 2
    assert not list(small_disk.rglob('.partial*'))


def test_full_disk_with_go_on_fails_only_at_the_end(small_disk, nuclei, tmp_path):
    code, log = train(sized(nuclei, tmp_path, 'go_on'))
    assert code == 1, log
    assert 'Training continues without it' in log
    assert 'iter 27' in (tmp_path / 'journal').read_text()
    last = log.strip().splitlines()[-1]
    assert re.search(r'last checkpoint epoch_3.pth could not be .*epoch_2.pth is unchanged', last)


def test_unwritable_folder_error_has_its_path(small_disk, nuclei, tmp_path):
    (small_disk / tmp_path.name).mkdir()
    subprocess.run(['mount', '-o', 'remount,ro', small_disk], check=True)
    code, log = train(sized(nuclei, tmp_path, 'stop'))
    assert code == 1
    assert 'Read-only file system' in log.strip().splitlines()[-1]


def test_file_size_limit_leaves_the_run_unchanged(nuclei, tmp_path):
    """Limits the file size as a quota does, also for root."""
    limit = (resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
    settings = config(
        tmp_path, nuclei, **{
            'model.ballast': 100_000, 'default_hooks.checkpoint.on_failure': 'go_on',
        },
    )  # fmt: skip
    code, log = train(settings, limits=[limit])
    assert code == 1, log
    assert log.count('File too large') == 3
    assert 'epoch_3.pth could not be written' in log.strip().splitlines()[-1]
    assert list(tmp_path.glob('*.pth')) == []


def test_second_signal_stops_a_run_at_once(nuclei, tmp_path):
    """While the first one still waits for an iteration that takes long."""
    slow = {'custom_hooks': [dict(type='Journal', path=str(tmp_path / 'journal'), pause=60)]}
    process = start(config(tmp_path, nuclei, **slow))
    wait_for('begins 1', process, tmp_path)
    os.kill(process.pid, signal.SIGTERM)
    time.sleep(1.2)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGTERM)
    process.join(10)
    assert process.exitcode == -signal.SIGTERM
