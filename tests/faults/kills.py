"""Kill real training runs at random instants, resume each time, and check the files left."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

from mmgab.atomic_file import PARTIAL
from mmgab.checkpoints import read_checkpoint
from mmgab.reliability import newest_checkpoint

from .training import config, start, weights

ROOT = Path(__file__).resolve().parents[2]
BALLAST = 1_000_000  # numbers: with AdamW's two moments 12 MB a file, some 30 ms of writing
IN_SAVING = 2 / 3  # of the kills, while a file is being written


@dataclass
class Figures:
    """What a series of kills left.

    Attributes:
        kills: Processes that were killed.
        while_saving: Those that left a file that was not complete.
        torn: Files under a final name that do not read.
        lost: Iterations that were saved and are not there any more.
        orphans: Files that the run has at its end and one that nobody killed has not.
        missing: Files that only the latter has.
        same: Whether the last weights are those of a run that nobody killed, bit by bit.
    """

    kills: int = 0
    while_saving: int = 0
    torn: list[str] = field(default_factory=list)
    lost: int = 0
    orphans: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    same: bool = False

    def __str__(self):
        return (
            f'{self.kills} kills, {self.while_saving} of them while a file was written: '
            f'{len(self.torn)} torn files, {self.lost} saved iterations lost, '
            f'{len(self.orphans)} orphans, {len(self.missing)} files missing, last weights those '
            f'of a run that was not killed, bit by bit: {self.same}'
        )

    def is_sound(self):
        """Return whether nothing was lost or left."""
        return self.same and not (self.torn or self.lost or self.orphans or self.missing)


class Alone:
    """A run in one process."""

    def start(self, settings):
        self.process = start(settings)

    def is_alive(self):
        return self.process.is_alive()

    def kill(self, chance):
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -signal.SIGKILL, 'it ended by itself'

    def wait(self, timeout):
        self.process.join(timeout)
        return self.process.exitcode


class Launched:
    """A run in two processes behind the launcher, of which one of the three is killed."""

    def start(self, settings):
        work_dir = Path(settings.work_dir)
        work_dir.mkdir(parents=True, exist_ok=True)
        settings.dump(work_dir / 'settings.json')
        program = Path(__file__).with_name('distributed_program.py')
        arguments = dict(settings=str(work_dir / 'settings.json'), kind=None)
        (work_dir / 'arguments.json').write_text(json.dumps(arguments))
        with open(work_dir / 'log', 'a') as log:
            self.launcher = subprocess.Popen(
                [sys.executable, '-W', 'ignore', '-m', 'mmgab.engine.launch',
                 '--nproc_per_node=2', str(program), str(work_dir / 'arguments.json')],
                stdout=log, stderr=log, cwd=ROOT,
            )  # fmt: skip

    def is_alive(self):
        return self.launcher.poll() is None

    def kill(self, chance):
        parent = psutil.Process(self.launcher.pid)
        ranks = parent.children()
        everybody = [parent, *parent.children(recursive=True)]
        victim = chance.choice([parent, *ranks])
        assert self.is_alive(), 'it ended by itself'
        os.kill(victim.pid, signal.SIGKILL)
        self.launcher.wait(90)
        _, left = psutil.wait_procs(everybody, timeout=60)  # ranks end with their launcher
        assert left == [], f'processes that outlive a killed one: {left}'

    def wait(self, timeout):
        return self.launcher.wait(timeout)


def settings(work_dir, data, iterations, **changes):
    """A run by iteration with averaged weights, that saves after each, keeps two and the best."""
    changes = {
        'train_cfg': dict(
            _delete_=True, type='IterBasedTrainLoop', max_iters=iterations, val_interval=3
        ),
        'train_dataloader.sampler.type': 'InfiniteSampler',
        'train_dataloader.num_workers': 2,
        'train_dataloader.persistent_workers': True,
        'model.ballast': BALLAST,
        'default_hooks.checkpoint.by_epoch': False,
        'default_hooks.checkpoint.max_keep_ckpts': 2,
        'default_hooks.checkpoint.save_best': 'error',
        'default_hooks.checkpoint.rule': 'less',
        **changes,
    }
    result = config(work_dir, data, **changes)
    result.custom_hooks.append(dict(type='EMAHook', momentum=0.1))
    return result


def kill_repeatedly(folder, data, kills, seed, runner=None, tell=lambda text: None, **changes):
    """Kill a run that often, let it end, and compare it with one that nobody killed."""
    chance, figures, runner = random.Random(seed), Figures(), runner or Alone()
    work_dir, undisturbed = Path(folder, 'killed'), Path(folder, 'undisturbed')
    iterations = 3 * kills + 5
    while figures.kills < kills:
        left = set(work_dir.glob(f'{PARTIAL}*.pth'))  # by the kill before, if not deleted yet
        runner.start(settings(work_dir, data, iterations, resume=True, **changes))
        _wait(runner, work_dir, chance)
        runner.kill(chance)
        figures.kills += 1
        figures.while_saving += bool(set(work_dir.glob(f'{PARTIAL}*.pth')) - left)
        _look(work_dir, figures)
        tell(f'{figures.kills}/{kills} kills, at iteration {_saved(work_dir)}')
    for path, resume in ((work_dir, True), (undisturbed, False)):
        runner.start(settings(path, data, iterations, resume=resume, **changes))
        assert runner.wait(600) == 0, Path(path, 'log').read_text()[-3000:]
    files = [{path.name for path in each.rglob('*.pth')} for each in (work_dir, undisturbed)]
    figures.orphans, figures.missing = files[0] - files[1], files[1] - files[0]
    last = [weights(path / f'iter_{iterations}.pth') for path in (work_dir, undisturbed)]
    figures.same = all(torch.equal(last[0][name], last[1][name]) for name in last[1])
    return figures


def _wait(runner, work_dir, chance):
    """Until an instant in the writing of a file, or any instant."""
    begun, wanted = _saved(work_dir), chance.randint(1, 2)
    in_saving = chance.random() < IN_SAVING
    end = time.monotonic() + 90
    while _saved(work_dir) < begun + wanted or (
        in_saving and not any(work_dir.glob(f'{PARTIAL}*.pth'))
    ):
        assert runner.is_alive(), Path(work_dir, 'log').read_text()[-3000:]
        assert time.monotonic() < end, 'nothing was saved in a minute and a half'
        if not in_saving and chance.random() < 0.002:
            return
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.06 if in_saving else 0.5))


def _saved(work_dir):
    """Iterations whose checkpoint was done, by the journal."""
    journal = Path(work_dir, 'journal')
    lines = journal.read_text().splitlines() if journal.exists() else []
    return max((int(line.split()[1]) for line in lines if line.startswith('iter ')), default=0)


def _look(work_dir, figures):
    """Count files that are torn, and iterations that are lost."""
    for path in work_dir.glob('[!.]*.pth'):
        try:
            read_checkpoint(path)
        except ValueError as error:
            figures.torn.append(str(error))
    path, _ = newest_checkpoint(str(work_dir))
    reached = read_checkpoint(path)['meta']['iter'] if path else 0
    figures.lost += max(0, _saved(work_dir) - reached)
