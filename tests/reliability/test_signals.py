"""Signals within a second are one stop request; a later one stops the run at once."""

import multiprocessing
import os
import threading
import time
from pathlib import Path
from signal import SIGINT, SIGTERM, SIGUSR1, getsignal

import psutil
import pytest
from mmengine.runner import Runner

from ..faults.training import config, start, start_together, wait_for

pytestmark = pytest.mark.process

NOTED = 'this iteration is finished and saved'
SOON, LATER = 0.05, 1.1  # seconds


def slow(work_dir, nuclei, pause):
    """Settings of a run whose iterations take that many seconds."""
    journal = dict(type='Journal', path=str(work_dir / 'journal'), pause=pause)
    return config(work_dir, nuclei, custom_hooks=[journal])


def send(process, work_dir, signals):
    """Send signals, each that many seconds after the one before, from the first one noted on."""
    wait_for('begins 1', process, work_dir)
    for wait, number in signals:
        time.sleep(wait)
        os.kill(process.pid, number)
        while NOTED not in Path(work_dir, 'log').read_text():
            time.sleep(0.002)


@pytest.mark.parametrize('kinds', [(SIGUSR1, SIGTERM), (SIGINT,) * 3, (SIGTERM, SIGINT, SIGUSR1)])
def test_signals_in_quick_succession_are_one_request(kinds, nuclei, tmp_path):
    process = start(slow(tmp_path, nuclei, pause=1.5))
    send(process, tmp_path, [(SOON, number) for number in kinds])
    process.join(60)
    log = (tmp_path / 'log').read_text()
    assert process.exitcode == 75, log
    assert log.count(NOTED) == 1
    assert kinds[0].name in log
    assert (tmp_path / 'interrupted.pth').exists()
    assert (tmp_path / 'journal').read_text().splitlines() == ['begins 1']


@pytest.mark.parametrize(
    'signals',
    [
        [(SOON, SIGUSR1), (LATER, SIGTERM)],
        [(SOON, SIGTERM), (LATER, SIGUSR1)],
        [(SOON, SIGINT), (SOON, SIGINT), (LATER, SIGINT)],
    ],
)
def test_second_signal_after_a_second_stops_at_once(signals, nuclei, tmp_path):
    process = start(slow(tmp_path, nuclei, pause=60))
    send(process, tmp_path, signals)
    process.join(20)
    assert process.exitcode == -signals[-1][1]
    assert not (tmp_path / 'interrupted.pth').exists()


@pytest.mark.parametrize(('number', 'context'), [(SIGINT, 'fork'), (SIGUSR1, 'spawn')])
def test_signalled_workers_do_not_stop_the_run(number, context, nuclei, tmp_path):
    """Such as workers in a terminal's process group or a Slurm step."""
    settings = slow(tmp_path, nuclei, pause=0.3)
    settings.train_dataloader.update(
        num_workers=2, multiprocessing_context=context, persistent_workers=True
    )
    process = start(settings)
    wait_for('begins 2', process, tmp_path)  # each worker has made a batch
    workers = psutil.Process(process.pid).children()
    assert len(workers) >= 2
    for each in (*workers, process):
        os.kill(each.pid, number)
    process.join(60)
    log = (tmp_path / 'log').read_text()
    assert process.exitcode == 75, log
    assert log.count(NOTED) == 1
    assert (tmp_path / 'interrupted.pth').exists()


def test_ranks_with_different_signals_stop_together(nuclei, tmp_path):
    processes = start_together(slow(tmp_path, nuclei, pause=0.5))
    wait_for('begins 1', processes[0], tmp_path)
    for process, number in zip(processes, (SIGUSR1, SIGTERM), strict=True):
        os.kill(process.pid, number)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [75, 75]
    assert (tmp_path / 'interrupted.pth').exists()
    assert (tmp_path / 'log').read_text().count(NOTED) == 1


def train_in_a_thread(settings):
    before = [getsignal(number) for number in (SIGINT, SIGTERM, SIGUSR1)]
    runner = Runner.from_cfg(settings)
    thread = threading.Thread(target=runner.train)
    thread.start()
    thread.join()
    assert runner.iter == runner.max_iters
    assert [getsignal(number) for number in (SIGINT, SIGTERM, SIGUSR1)] == before


def test_training_outside_the_main_thread_ignores_signals(nuclei, tmp_path):
    """In a process of its own: MMEngine's lock may be held for ever after an error of a test."""
    settings = config(tmp_path, nuclei, **{'train_cfg.max_epochs': 1})
    context = multiprocessing.get_context('spawn')
    process = context.Process(target=train_in_a_thread, args=(settings,))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert log.count('signals do not stop this run with a checkpoint') == 1
