"""A small real training run, in a process that may be killed: SwinGAB on tiles of nuclei.

Processes are forked from a server that has imported everything: a start takes no second.
"""

import copy
import multiprocessing
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.structures import BaseDataElement
from mmengine.utils import import_modules_from_strings
from torch import nn

from mmgab.engine import CheckedRunner
from mmgab.models import SwinGAB
from mmgab.reliability import leave_processes

_server = multiprocessing.get_context('forkserver')
_server.set_forkserver_preload([__name__])


@DATASETS.register_module()
class Tiles(torch.utils.data.Dataset):
    """Tiles of nuclei, cropped and lit at random, and how much of a tile is nuclei.

    Some of them only, if ``count`` says how many; and all alike each time, if they are ``plain``.
    Pixels of the files that are ``spoiled`` are not numbers.
    """

    def __init__(self, root, count=None, plain=False, spoiled=()):
        self.plain, self.spoiled = plain, spoiled
        self.images = sorted(Path(root, 'images', 'train').iterdir())[:count]
        self.labels = sorted(Path(root, 'labels', 'train').iterdir())

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        top, left = (32, 32) if self.plain else np.random.randint(0, 64, 2)
        window = slice(top, top + 64), slice(left, left + 64)
        image = cv2.imread(str(self.images[index]))[window]
        label = cv2.imread(str(self.labels[index]), cv2.IMREAD_UNCHANGED)[window]
        image = torch.from_numpy(image.copy()).permute(2, 0, 1) / 255
        if not self.plain:
            image += 0.05 * torch.randn(1)
        if self.images[index].name in self.spoiled:
            image = torch.full_like(image, float('nan'))
        share = torch.tensor((label > 0).mean(), dtype=torch.float32)
        sample = BaseDataElement(metainfo=dict(img_path=str(self.images[index])))
        return dict(images=image, share=share, data_samples=sample)


@MODELS.register_module()
class Counter(BaseModel):
    """Guesses the share of nuclei from SwinGAB's features; drops paths and features at random."""

    def __init__(self, ballast=0, drop=0.2, with_cp=False):
        super().__init__()
        self.backbone = SwinGAB(
            embed_dims=16, depths=(2, 2), num_heads=(2, 4), strides=(4, 2), out_indices=(1,),
            drop_path_rate=drop, with_cp=with_cp, gab_cfg=dict(amplitude=1.0, sigma=5.0),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Dropout(drop), nn.Linear(32, 1))
        self.ballast = nn.Parameter(torch.zeros(ballast))  # makes files as large as wanted

    def forward(self, images, share, data_samples=None, mode='tensor'):
        shares = self.head(self.backbone(images)[-1].mean((2, 3))).squeeze(1)
        if mode != 'loss':
            return list((shares - share).abs())
        return dict(loss=(shares - share).square().mean() + 0 * self.ballast.sum())


@MODELS.register_module()
class NormedCounter(Counter):
    """With BatchNorm, whose statistics differ between processes that train on different images."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images, share, data_samples=None, mode='tensor'):
        return super().forward(self.norm(images), share, mode=mode)


@METRICS.register_module()
class Errors(BaseMetric):
    """The mean error over a validation."""

    def process(self, data_batch, data_samples):
        self.results += [float(error) for error in data_samples]

    def compute_metrics(self, results):
        return dict(error=float(np.mean(results)))


@HOOKS.register_module()
class Journal(Hook):
    """Writes down the iterations that are done, checkpoints included, as a list of lines."""

    priority = 'LOWEST'

    def __init__(self, path, pause=0.0):
        self.path, self.pause = path, pause

    def _note(self, line):
        with open(self.path, 'a') as file:
            print(line, file=file)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self._note(f'begins {runner.iter + 1}')
        time.sleep(self.pause)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._note(f'iter {runner.iter + 1}')

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._note(f'validating {runner.iter} {batch_idx}')

    def after_val_epoch(self, runner, metrics=None):
        self._note(f'validated {runner.iter} {metrics["error"]!r}')


@HOOKS.register_module()
class KillAt(Hook):
    """Kills its own process when that many iterations are done, in a stage of MMEngine's hooks."""

    priority = 'LOWEST'

    def __init__(self, stage, iteration):
        self.iteration = iteration
        setattr(self, stage, self._kill)

    def _kill(self, runner, **arguments):
        if runner.iter == self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class Predictions(Hook):
    """Writes down what each process predicts for each image: ``RANK STAGE IMAGE NUMBER``."""

    def __init__(self, path):
        self.path = path

    def _note(self, runner, stage, data_batch, outputs):
        with open(self.path, 'a') as file:
            for sample, number in zip(data_batch['data_samples'], outputs, strict=True):
                print(runner.rank, stage, Path(sample.img_path).name, float(number), file=file)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._note(runner, 'val', data_batch, outputs)

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self._note(runner, 'test', data_batch, outputs)


def config(work_dir, data, **changes):
    """Three epochs of nine iterations, saved after each; keys of ``changes`` are config keys."""
    common = dict(
        num_workers=0,
        dataset=dict(type='Tiles', root=str(data)),
        collate_fn=dict(type='default_collate'),
    )
    loader = dict(
        batch_size=4,
        sampler=dict(type='DefaultSampler', shuffle=True),
        batch_sampler=dict(type='mmgab.ResumableBatchSampler'),
        **common,
    )
    val_loader = dict(batch_size=4, sampler=dict(type='DefaultSampler', shuffle=False), **common)
    result = Config(
        dict(
            model=dict(type='Counter'),
            work_dir=str(work_dir),
            train_dataloader=loader,
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=3),
            val_dataloader=val_loader,
            val_cfg=dict(type='ValLoop'),
            val_evaluator=dict(type='Errors'),
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='AdamW', lr=1e-3),
                clip_grad=dict(max_norm=1),
            ),
            param_scheduler=dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=20),
            default_hooks=dict(
                checkpoint=dict(type='mmgab.AtomicCheckpointHook', interval=1),
                logger=dict(type='LoggerHook', interval=5),
            ),
            custom_hooks=[dict(type='Journal', path=str(Path(work_dir, 'journal')))],
            randomness=dict(seed=3),
            default_scope='mmengine',
            log_level='WARNING',
        )
    )
    result.merge_from_dict(copy.deepcopy(changes))  # it takes things out
    return result


def _train(settings, limits, environment):
    for kind, limit in limits:
        resource.setrlimit(kind, limit)
    os.environ.update(environment)
    Path(settings.work_dir).mkdir(parents=True, exist_ok=True)
    log = open(Path(settings.work_dir, 'log'), 'a', buffering=1)  # noqa: SIM115
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    torch.set_num_threads(1)
    if 'custom_imports' in settings:
        import_modules_from_strings(**settings.custom_imports)
    CheckedRunner.from_cfg(settings).train()
    leave_processes()
    sys.stdout.flush()


def start(settings, limits=(), environment=None):
    """Train in another process, with limits as of ``resource.setrlimit``; returns it."""
    process = _server.Process(target=_train, args=(settings, limits, environment or {}))
    process.start()
    return process


def train(settings, timeout=120, limits=()):
    """Train to the end; returns the exit code and everything that was printed."""
    process = start(settings, limits)
    process.join(timeout)
    assert process.exitcode is not None, f'still running after {timeout} s'
    return process.exitcode, Path(settings.work_dir, 'log').read_text()


def start_together(settings, processes=2):
    """Train in several processes, as a launcher would start them; returns them."""
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    settings.launcher = 'pytorch'
    settings.merge_from_dict({'env_cfg.dist_cfg.timeout': 60})
    common = dict(MASTER_ADDR='localhost', MASTER_PORT=str(port), WORLD_SIZE=str(processes))
    ranks = map(str, range(processes))
    return [start(settings, environment=dict(common, RANK=rank, LOCAL_RANK=rank)) for rank in ranks]


def train_together(settings, processes=2, timeout=120):
    """Train in several processes; returns their exit codes and everything that was printed."""
    started = start_together(settings, processes)
    for process in started:
        process.join(timeout)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    log = Path(settings.work_dir, 'log').read_text()
    assert None not in codes, f'still running after {timeout} s: {codes}\n{log}'
    return codes, log


def wait_for(line, process, work_dir, timeout=60):
    """Wait until the journal of a run has a line."""
    journal, end = Path(work_dir, 'journal'), time.monotonic() + timeout
    while not (journal.exists() and line in journal.read_text().splitlines()):
        assert process.is_alive(), Path(work_dir, 'log').read_text()
        assert time.monotonic() < end, f'no {line} in {timeout} s'
        time.sleep(0.002)


def end_at(line, number, settings, timeout=60):
    """Train, and send a signal as soon as the journal has a line; returns the exit code."""
    process = start(settings)
    wait_for(line, process, settings.work_dir)
    os.kill(process.pid, number)
    process.join(timeout)
    return process.exitcode


def weights(path):
    """Tensors of a checkpoint."""
    return torch.load(path, weights_only=False)['state_dict']
