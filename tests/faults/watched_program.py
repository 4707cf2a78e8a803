"""One of several processes of a training run, which soon or never ends with its launcher."""

import sys
import time
from pathlib import Path

import torch
from mmengine.hooks import Hook

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from mmgab.engine import CheckedRunner
from mmgab.reliability import launcher_watch
from tests.faults.training import config

GRACE = 4.0  # seconds, so that a test need not wait for 30


class Dawdle(Hook):
    """Takes its time in every iteration of a validation, or for ever in the third of training."""

    def __init__(self, moment):
        self.moment = moment

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.moment == 'collective' and runner.rank == 1 and runner.iter == 2:
            time.sleep(1000)  # the other waits for its gradients

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.moment == 'validation':
            time.sleep(0.5)


def main():
    """Train into a folder, with the moment that is dawdled in and the data."""
    work_dir, data, moment = sys.argv[1:]
    launcher_watch.GRACE = GRACE
    torch.set_num_threads(1)
    workers = {'train_dataloader.num_workers': 1, 'train_cfg.max_epochs': 100}
    settings = config(work_dir, data, **workers)
    settings.launcher = 'pytorch'
    runner = CheckedRunner.from_cfg(settings)
    runner.register_hook(Dawdle(moment))
    runner.train()


if __name__ == '__main__':
    main()
