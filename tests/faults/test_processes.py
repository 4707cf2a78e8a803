"""Several processes on CPUs give the results of a single one and stop together."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

from ..conftest import ROOT
from .training import config, train, weights

pytestmark = pytest.mark.process

PROGRAM = ROOT / 'tests' / 'faults' / 'distributed_program.py'
# Nothing at random that depends on the process, and equal shares of eight images a step.
ALIKE = {
    'model.drop': 0.0,
    'train_dataloader.dataset.plain': True,
    'train_dataloader.dataset.count': 32,
    'train_cfg.max_epochs': 2,
}
BOUND = 2e-5  # between weights, which a step changes by 1e-3 at most


def launch(processes, work_dir, data, kind=None, env=None, **changes):
    """Start a run of that many processes; returns the launcher."""
    work_dir.mkdir(exist_ok=True)
    arguments = dict(work_dir=str(work_dir), data=str(data), kind=kind, changes=changes)
    (work_dir / 'arguments.json').write_text(json.dumps(arguments))
    command = ['-m', 'mmgab.engine.launch', f'--nproc_per_node={processes}', PROGRAM]
    return subprocess.Popen(
        [sys.executable, '-W', 'ignore', *map(str, command), str(work_dir / 'arguments.json')],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env={**os.environ, **(env or {})},
    )  # fmt: skip


def end(launcher, timeout=90):
    """Exit code and output of a launcher."""
    output, _ = launcher.communicate(timeout=timeout)
    return launcher.returncode, output


@pytest.mark.parametrize(
    ('kind', 'code', 'reason'),
    [
        ('raises', 1, 'RuntimeError: the disk is on fire'),
        ('killed', 137, 'by SIGKILL'),
        ('hangs', 1, r'(?i)timed out|timeout'),
    ],
)
def test_dead_or_hanging_rank_stops_the_job(kind, code, reason, nuclei, tmp_path):
    begun = time.monotonic()
    limit = {'env_cfg.dist_cfg.timeout': 10}
    launcher = launch(2, tmp_path, nuclei, kind, **limit)
    found, output = end(launcher)
    assert time.monotonic() - begun < 60
    last = output.strip().splitlines()[-1]
    assert found == code, output[-3000:]
    assert re.search(r'rank \d on .* ended first', last)
    assert re.search(reason, last), last


def test_launcher_signal_saves_and_world_size_may_change(nuclei, tmp_path):
    launcher = launch(2, tmp_path, nuclei)
    while not (tmp_path / 'journal').exists() or 'iter 2' not in (tmp_path / 'journal').read_text():
        assert launcher.poll() is None, launcher.communicate()[0][-3000:]
        time.sleep(0.01)
    launcher.send_signal(signal.SIGTERM)
    code, output = end(launcher)
    assert code == 75, output[-3000:]
    assert (tmp_path / 'interrupted.pth').exists()
    code, output = end(launch(3, tmp_path, nuclei, resume=True))
    assert code == 0, output[-3000:]
    assert '2 processes saved their random states, this run has 3' in output
    assert (tmp_path / 'epoch_3.pth').exists()
    assert not (tmp_path / 'interrupted.pth').exists()


@pytest.mark.parametrize('processes', [2, 4])
def test_ranks_end_with_the_weights_of_a_single_process(processes, nuclei, tmp_path):
    """Activation checkpointing is enabled in the multi-process run, together with DDP."""
    alone, several = tmp_path / 'alone', tmp_path / 'several'
    one = {**ALIKE, 'train_dataloader.batch_size': 8}
    assert train(config(alone, nuclei, **one))[0] == 0
    more = {**ALIKE, 'train_dataloader.batch_size': 8 // processes}
    code, output = end(launch(processes, several, nuclei, **more, **{'model.with_cp': True}))
    assert code == 0, output[-3000:]
    expected, found = (weights(folder / 'epoch_2.pth') for folder in (alone, several))
    before = weights(alone / 'epoch_1.pth')
    for name in expected:
        assert torch.allclose(found[name], expected[name], rtol=0, atol=BOUND), name
    assert any(not torch.allclose(before[n], expected[n], atol=50 * BOUND) for n in expected)


def test_ranks_continue_together_on_a_full_disk(nuclei, tmp_path):
    """Only the first knows by itself; the others would wait for it to save what they think best."""
    best = {
        'default_hooks.checkpoint.on_failure': 'go_on',
        'default_hooks.checkpoint.save_best': 'error',
        'default_hooks.checkpoint.rule': 'less',
        'env_cfg.dist_cfg.timeout': 20,
    }
    code, output = end(launch(2, tmp_path, nuclei, 'full', **best))
    assert code == 1, output[-3000:]
    assert output.count('cannot be written') >= 6  # three checkpoints, and one that is the best
    assert 'training has ended, but its last checkpoint epoch_3.pth' in output.splitlines()[-1]
    assert not list(tmp_path.glob('*.pth'))


def test_used_port_is_reported_before_launch(nuclei, tmp_path):
    with socket.socket() as taken:
        taken.bind(('', 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, '-m', 'mmgab.engine.launch', f'--master_port={port}', PROGRAM]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, 'PORT': str(port)}
        )
    assert done.returncode == 2
    assert f'port {port} cannot be listened on' in done.stderr
    assert 'Set PORT to another one' in done.stderr
