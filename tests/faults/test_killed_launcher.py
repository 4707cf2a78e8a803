"""Ranks end with their launcher, wherever they are when it ends."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from mmgab.reliability import newest_checkpoint

from ..conftest import ROOT
from .training import config
from .watched_program import GRACE

pytestmark = pytest.mark.process

PROGRAM = ROOT / 'tests' / 'faults' / 'watched_program.py'
SLACK = 4.0  # seconds, on a machine that others use


@pytest.fixture
def launch(tmp_path):
    """Starts a launcher of two processes; all of them have the folder in their command lines."""

    def start(*words):
        command = [sys.executable, '-W', 'ignore', '-m', 'mmgab.engine.launch']
        with open(tmp_path / 'log', 'w') as log:
            return subprocess.Popen(
                [*command, '--nproc_per_node=2', *map(str, words)],
                stdout=log, stderr=log, cwd=ROOT,
            )  # fmt: skip

    yield start
    for process in psutil.process_iter(['cmdline']):
        if any(str(tmp_path) in word for word in process.info['cmdline'] or []):
            process.kill()


def ranks_and_workers(launcher):
    ranks = psutil.Process(launcher.pid).children()
    return [*ranks, *(child for rank in ranks for child in rank.children(recursive=True))]


def is_running(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def seconds_until_ended(processes, limit):
    begun = time.monotonic()
    while any(map(is_running, processes)):
        assert time.monotonic() - begun < limit, [p for p in processes if is_running(p)]
        time.sleep(0.02)
    return time.monotonic() - begun


def wait_for(line, launcher, folder):
    journal, end = folder / 'run' / 'journal', time.monotonic() + 60
    while not (journal.exists() and line in journal.read_text()):
        assert launcher.poll() is None, (folder / 'log').read_text()
        assert time.monotonic() < end, (folder / 'log').read_text()
        time.sleep(0.01)


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGHUP])
def test_training_ranks_save_and_exit(number, launch, nuclei, tmp_path):
    launcher = launch(PROGRAM, tmp_path / 'run', nuclei, 'training')
    wait_for('iter 2', launcher, tmp_path)
    processes = ranks_and_workers(launcher)
    assert len(processes) >= 4  # of each rank, a worker
    launcher.send_signal(number)
    seconds_until_ended(processes, GRACE + SLACK)
    path, _ = newest_checkpoint(str(tmp_path / 'run'))
    assert path.endswith('interrupted.pth')
    assert f'launcher {launcher.pid} has ended' in (tmp_path / 'log').read_text()


def test_validating_ranks_save_and_exit(launch, nuclei, tmp_path):
    launcher = launch(PROGRAM, tmp_path / 'run', nuclei, 'validation')
    wait_for('validating', launcher, tmp_path)
    processes = ranks_and_workers(launcher)
    launcher.kill()
    seconds_until_ended(processes, GRACE + SLACK)
    assert 'validated' not in (tmp_path / 'run' / 'journal').read_text()
    path, _ = newest_checkpoint(str(tmp_path / 'run'))
    assert path.endswith('interrupted.pth')


def test_ranks_that_hang_in_a_collective_are_killed(launch, nuclei, tmp_path):
    launcher = launch(PROGRAM, tmp_path / 'run', nuclei, 'collective')
    wait_for('begins 3', launcher, tmp_path)
    processes = ranks_and_workers(launcher)
    launcher.kill()
    assert seconds_until_ended(processes, GRACE + SLACK) > GRACE / 2


def test_importing_ranks_exit_without_changes(launch, nuclei, tmp_path):
    """With the tool that users start."""
    settings = config(tmp_path / 'run', nuclei)
    settings.custom_imports = dict(imports=['tests.faults.training'])
    settings.dump(tmp_path / 'config.py')
    launcher = launch('tools/train.py', tmp_path / 'config.py', '--launcher', 'pytorch')
    while len(ranks_and_workers(launcher)) < 2:
        assert launcher.poll() is None
        time.sleep(0.01)
    processes = ranks_and_workers(launcher)
    launcher.kill()
    seconds_until_ended(processes, 30)
    assert (tmp_path / 'log').read_text().count(f'launcher {launcher.pid} has ended before') == 2
    assert not (tmp_path / 'run').exists()


def test_ranks_of_a_running_launcher_continue(launch, tmp_path):
    """A process between the two is not taken for it: profilers and shells start ranks too."""
    rank = tmp_path / 'rank.py'
    rank.write_text(
        'import subprocess, sys\n'
        'code = "from mmgab.reliability.launcher_watch import *; end_with_launcher(); "\n'
        'subprocess.run([sys.executable, "-c", code + "import time; time.sleep(2)"], check=True)\n'
    )
    assert launch(rank).wait(60) == 0
