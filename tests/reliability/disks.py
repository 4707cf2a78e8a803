"""Disks that are full, refuse to delete or cannot be written, for real, while a run trains."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

MANY = 5000  # characters: more than the rest of a file's last block on the disk


def mount(*words):
    """Mount, or skip the test where that is not allowed."""
    done = subprocess.run(['mount', *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'a disk of its own needs the right to mount: {done.stderr.strip()}')


def unmount(path):
    subprocess.run(['umount', '-l', str(path)], check=True)


def protect(path, flag):
    """Set or unset the flag with which no one may change or delete a file."""
    done = subprocess.run(['chattr', flag, str(path)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f'this file system has no protected files: {done.stderr.strip()}')


def fill(disk):
    """Write a file until the disk is full."""
    with suppress(OSError), open(Path(disk, 'filler'), 'wb', buffering=0) as file:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while file.write(bytes(size)):
                    pass


def free(disk):
    Path(disk, 'filler').unlink()


_CHANGES = {
    'fill': fill,
    'free': free,
    'read-only': lambda path: mount('-o', 'remount,ro', path),
    'writable': lambda path: mount('-o', 'remount,rw', path),
    'hold': lambda path: mount('--bind', path, path),  # so that it cannot be deleted
    'let go': unmount,
    'protect': lambda path: protect(path, '+i'),
    'unprotect': lambda path: protect(path, '-i'),
    'delete': lambda path: Path(path).unlink(),
}


@HOOKS.register_module()
class ChangesDisk(Hook):
    """Changes a disk after an iteration, a validation or training, before anything is saved.

    Instants are ``'begin'``, ``'iter 3'``, ``'val 4'`` (after iteration 4) and ``'end'``. A lot is
    logged and drawn after each iteration.
    """

    priority = 'VERY_HIGH'

    def __init__(self, changes):
        self.changes = changes

    def _change(self, when):
        for instant, change, path in self.changes:
            if instant == when and is_main_process():
                _CHANGES[change](path)

    def before_train(self, runner):
        self._change('begin')

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._change(f'iter {runner.iter + 1}')
        runner.logger.info(f'after {runner.iter + 1} {"x" * MANY}')
        runner.visualizer.add_scalar('y' * MANY, 1.0, step=runner.iter + 1)

    def after_val_epoch(self, runner, metrics=None):
        self._change(f'val {runner.iter}')

    def after_train(self, runner):
        self._change('end')
