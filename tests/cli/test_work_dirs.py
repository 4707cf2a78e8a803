"""Work dirs that another run uses or that cannot be written."""

import io
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch

from mmgab.atomic_file import PARTIAL
from mmgab.cli.test import write_results
from mmgab.reliability.work_dir_lock import work_dir_lock

from ..conftest import ROOT, run_tool, start_tool
from ..faults.training import config
from .runs import SEGMENTATION, options

pytestmark = pytest.mark.process

ENV = dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')  # the former for custom imports


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob('*')]}


@pytest.fixture
def short_config(nuclei, tmp_path):
    """Write a config of a long run with a small model; its work dir is the folder ``run``."""
    settings = config(tmp_path / 'run', nuclei, **{'train_cfg.max_epochs': 1000})
    settings.custom_imports = dict(imports=['tests.faults.training'])
    settings.dump(tmp_path / 'config.py')
    return tmp_path / 'config.py'


@pytest.fixture
def stopped_run(short_config, tmp_path):
    """Start a run and suspend it, so that nothing in its folder changes."""
    command = [sys.executable, '-W', 'ignore', 'tools/train.py', short_config]
    journal, log = tmp_path / 'run' / 'journal', tmp_path / 'log'
    with open(log, 'w') as file:
        run = subprocess.Popen(
            command, stdout=file, stderr=file, cwd=ROOT, env={**os.environ, **ENV}
        )
    while not (journal.exists() and 'iter 2' in journal.read_text()):
        assert run.poll() is None, log.read_text()
        time.sleep(0.01)
    run.send_signal(signal.SIGSTOP)
    yield run
    run.kill()
    run.wait()


def test_second_launcher_is_rejected_and_changes_nothing(stopped_run, short_config, tmp_path):
    before = contents(tmp_path / 'run')
    done = start_tool('tools/dist_train.sh', short_config, 2, env=ENV, timeout=60)
    assert done.returncode == 2
    assert contents(tmp_path / 'run') == before
    last = done.stdout.strip().splitlines()[-1]
    assert 'rank 0' in last
    assert f'{tmp_path}/run: process {stopped_run.pid} on' in last
    assert '--force' in last
    assert 'Traceback' not in done.stdout


def test_second_run_with_force_trains(stopped_run, short_config):
    length = ['--cfg-options', 'train_cfg.max_epochs=1']
    output = run_tool('tools/train.py', short_config, '--force', *length, env=ENV)
    assert f'process {stopped_run.pid} on' in output
    assert 'this run trains there too because of --force' in output


def test_metrics_are_printed_if_they_cannot_be_written(nuclei, segmentor, tmp_path):
    """The work dir is used by a training; testing into it is allowed."""
    (tmp_path / 'results.json').mkdir()
    with work_dir_lock(str(tmp_path)):
        done = start_tool(
            'tools/test.py', 'configs/upernet_swin_gab_nuclei.py', segmentor / 'iter_3.pth',
            '--work-dir', tmp_path, *options(nuclei, SEGMENTATION),
        )  # fmt: skip
    assert done.returncode == 1
    assert '"mIoU": ' in done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith(f'error: {tmp_path}/results.json cannot be written: Is a directory')
    assert 'Traceback' not in done.stdout
    assert not list(tmp_path.glob(f'{PARTIAL}*'))


@pytest.fixture
def write(tmp_path):
    """Return a function that writes metrics to the folder with the tool's function."""
    return lambda metrics: write_results(tmp_path / 'results.json', dict(metrics=metrics))


def test_failed_write_keeps_previous_results(write, tmp_path):
    """A file size limit of ten bytes stands in for a full disk."""
    (tmp_path / 'results.json').write_text('before')

    def fail():
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
            write(dict(mIoU=1.0))

    process = multiprocessing.get_context('fork').Process(target=fail)
    process.start()
    process.join()
    assert process.exitcode == 1
    assert [path.name for path in tmp_path.iterdir()] == ['results.json']
    assert (tmp_path / 'results.json').read_text() == 'before'


def test_metrics_of_any_type_are_written(write, tmp_path):
    write(dict(a=1, b=np.float32(0.5), c=np.arange(2), d=torch.ones(1), e=Path('f')))
    found = json.loads((tmp_path / 'results.json').read_text())['metrics']
    assert found == dict(a=1, b=0.5, c=[0, 1], d=[1.0], e='f')
