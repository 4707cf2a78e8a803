"""One of several processes of a training run, of which one may misbehave; started by a launcher."""

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from torch.distributed.elastic.multiprocessing.errors import record

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from mmgab.engine import CheckedRunner
from mmgab.reliability import leave_processes
from tests.faults.training import config


class Misbehave(Hook):
    """Rank 1 misbehaves at its fourth iteration."""

    def __init__(self, kind):
        self.kind = kind

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.rank == 1 and runner.iter == 3:
            if self.kind == 'killed':
                os.kill(os.getpid(), signal.SIGKILL)
            if self.kind == 'raises':
                raise RuntimeError('the disk is on fire')
            if self.kind == 'hangs':
                time.sleep(1000)


@record
def main():
    """Train with the settings of a JSON file."""
    torch.set_num_threads(1)
    arguments = json.loads(Path(sys.argv[1]).read_text())
    if 'settings' in arguments:
        settings = Config.fromfile(arguments['settings'])
    else:
        settings = config(arguments['work_dir'], arguments['data'], **arguments['changes'])
    settings.launcher = 'pytorch'
    if arguments['kind'] == 'full' and os.environ['RANK'] == '0':  # who writes may not
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    runner = CheckedRunner.from_cfg(settings)
    runner.register_hook(Misbehave(arguments['kind']))
    runner.train()
    leave_processes()


if __name__ == '__main__':
    main()
