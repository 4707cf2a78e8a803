"""States that a kill can leave on the disk: the folder of a run before each of its operations."""

import os
import shutil
import signal
import sys
from pathlib import Path

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import HOOKS, METRICS, MODELS
from torch import nn

from mmgab.atomic_file import PARTIAL
from mmgab.engine import CheckedRunner

from ..faults.training import _server, config

# In configs by their full names: other processes import them.
SIGNALS_ITSELF = f'{__name__}.SignalsItself'
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.truncate', 'os.link'}


@MODELS.register_module()
class StepCounter(BaseModel):
    """Counts the steps that it was trained; in a checkpoint, as weights are."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def forward(self, images, share, data_samples=None, mode='tensor'):
        if mode != 'loss':
            return [int(self.steps)]
        self.steps += 1
        return dict(loss=(self.weight - share.mean()).square())


@METRICS.register_module()
class ScoreOfStep(BaseMetric):
    """A score for each number of steps."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        score = self.scores[results[0]]
        return dict(error=score, again=-score)


@HOOKS.register_module()
class SignalsItself(Hook):
    """Sends SIGTERM to its process after an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), signal.SIGTERM)


def tiny(work_dir, data, scores, **changes):
    """Three epochs of two iterations, with a score for each number of them."""
    changes = {
        'model': dict(_delete_=True, type=f'{__name__}.StepCounter'),
        'train_dataloader.batch_size': 2,
        'train_dataloader.dataset.count': 4,
        'val_dataloader.dataset.count': 2,
        'val_evaluator': dict(type=f'{__name__}.ScoreOfStep', scores=scores),
        'custom_hooks': [],
        **changes,
    }
    return config(work_dir, data, **changes)


def files(work_dir):
    """Names of a run's checkpoints, without hashes, and the name in its ``last_checkpoint``."""
    found = [path.name.split('-')[0] for path in Path(work_dir).iterdir() if path.suffix == '.pth']
    found += [path.name for path in Path(work_dir).glob(f'{PARTIAL}*')]
    note = Path(work_dir, 'last_checkpoint')
    return sorted(found), Path(note.read_text()).name if note.is_file() else None


def record(settings, folder):
    """Train in another process, and copy its folder before each operation that changes it.

    Returns the exit code and the copies, each of another state.
    """
    folder.mkdir()
    process = _server.Process(target=_train, args=(settings, folder))
    process.start()
    process.join(120)
    return process.exitcode, sorted(folder.iterdir())


def restore(copy, work_dir):
    """Put a state in the place of a work dir."""
    empty(work_dir)
    shutil.copytree(copy, work_dir, dirs_exist_ok=True)


def empty(work_dir):
    """Make a work dir new."""
    shutil.rmtree(work_dir)
    work_dir.mkdir()


def _train(settings, folder):
    torch.set_num_threads(1)
    work_dir = Path(settings.work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    sys.addaudithook(_Recorder(work_dir, folder))
    CheckedRunner.from_cfg(settings).train()


class _Recorder:
    """An audit hook: a file under a temporary name is of one state, while it is written."""

    def __init__(self, work_dir, folder):
        self.work_dir, self.folder = work_dir, folder
        self.is_copying, self.last = False, None

    def __call__(self, event, args):
        if self.is_copying or not self._is_change(event, args):
            return
        self.is_copying = True
        paths = [path for path in sorted(self.work_dir.iterdir()) if path.is_file()]
        state = [(path.name, path.stat().st_ino, path.stat().st_mtime_ns) for path in paths]
        if state != self.last:
            copy = self.folder / f'{len(list(self.folder.iterdir())):03}'
            copy.mkdir()
            for path in paths:
                shutil.copy2(path, copy)
            self.last = state
        self.is_copying = False

    def _is_change(self, event, args):
        if event not in _CHANGES and not (event == 'open' and args[2] & _WRITES):
            return False
        path = Path(os.fsdecode(args[0])) if isinstance(args[0], (str, bytes, Path)) else Path()
        is_partial = event == 'open' and path.name.startswith(PARTIAL)
        return path.parent == self.work_dir and not is_partial
