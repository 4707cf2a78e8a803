"""Kill real training runs at random instants, go on each time, and look at what is left."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from mmgab.checkpoints import read_checkpoint
from mmgab.checkpoints.atomic_file import PARTIAL
from mmgab.reliability import newest_checkpoint

from .training import config, start, train, weights

BALLAST = 1_000_000  # numbers: with AdamW's two moments 12 MB a file, some 30 ms of writing
IN_SAVING = 2 / 3  # of the kills, while a file is being written


@dataclass
class Figures:
    """What a series of kills left.

    Attributes:
        kills: Processes that were killed.
        while_saving: Those that left a file that was not whole.
        torn: Files under a final name that do not read.
        lost: Iterations that were saved and are not there any more.
        same: Whether the last weights are those of a run that nobody killed, bit by bit.
    """

    kills: int = 0
    while_saving: int = 0
    torn: list[str] = field(default_factory=list)
    lost: int = 0
    same: bool = False


def settings(work_dir, data, iterations, **changes):
    """A run by iteration, with living workers, that saves after each and keeps two."""
    changes = {
        'train_cfg': dict(
            _delete_=True, type='IterBasedTrainLoop', max_iters=iterations, val_interval=7
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
    return config(work_dir, data, **changes)


def kill_repeatedly(folder, data, kills, seed, tell=lambda text: None):
    """Kill a run that often, let it end, and compare it with one that nobody killed."""
    chance, figures = random.Random(seed), Figures()
    work_dir = Path(folder, 'killed')
    iterations = 3 * kills + 5
    while figures.kills < kills:
        left = set(work_dir.glob(f'{PARTIAL}*.pth'))  # by the kill before, if not deleted yet
        process = start(settings(work_dir, data, iterations, resume=True))
        _wait(process, work_dir, chance)
        process.kill()
        process.join()
        assert process.exitcode == -9, f'ended by itself: {Path(work_dir, "log").read_text()}'
        figures.kills += 1
        figures.while_saving += bool(set(work_dir.glob(f'{PARTIAL}*.pth')) - left)
        _look(work_dir, figures)
        tell(f'{figures.kills}/{kills} kills, at iteration {_saved(work_dir)}')
    code, log = train(settings(work_dir, data, iterations, resume=True), timeout=300)
    assert code == 0, log
    undisturbed = Path(folder, 'undisturbed')
    code, log = train(settings(undisturbed, data, iterations), timeout=300)
    assert code == 0, log
    last = [weights(path / f'iter_{iterations}.pth') for path in (work_dir, undisturbed)]
    figures.same = all(torch.equal(last[0][name], last[1][name]) for name in last[1])
    return figures


def _wait(process, work_dir, chance):
    """Until an instant in the writing of a file, or any instant."""
    if chance.random() > IN_SAVING:
        time.sleep(chance.uniform(0, 3))
        return
    begun, wanted = _saved(work_dir), chance.randint(1, 2)
    end = time.monotonic() + 60
    while _saved(work_dir) < begun + wanted or not any(work_dir.glob(f'{PARTIAL}*.pth')):
        assert process.is_alive(), Path(work_dir, 'log').read_text()
        assert time.monotonic() < end, 'nothing was saved in a minute'
    time.sleep(chance.uniform(0, 0.06))


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
