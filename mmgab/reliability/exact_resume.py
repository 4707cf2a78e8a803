"""Exact resuming: random states and the position in the data."""

from functools import partial

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import IterTimerHook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmgab.datasets import ResumableBatchSampler

from .random_states import random_states, set_random_states

# In a checkpoint: random states by rank, batches of an epoch, and samples of an optimizer's step.
KEY = 'exact_resume'


class ExactResume:
    """The random numbers of training, through validation, a checkpoint and another process."""

    def __init__(self) -> None:
        self._left: dict | None = None  # training's, while it is left for validation
        self._gathered: dict = {}
        self._noted: dict | None = None
        self._generator = torch.Generator()  # of the loader

    def leave_training(self) -> None:
        """Save the random states of training."""
        self._left = random_states()

    def enter_training(self) -> None:
        """Restore the saved random states."""
        assert self._left is not None, 'leave_training comes first'
        set_random_states(self._left)
        self._left = None

    def gather(self, runner: Runner) -> None:
        """Collect training's random numbers of all processes; all of them call it."""
        states = all_gather_object(self._left or random_states())
        self._gathered = dict(
            states=states, batches=len(runner.train_dataloader), samples=_samples_of_step(runner)
        )

    def add_to(self, checkpoint: dict) -> None:
        """Add what was collected, where a run can be resumed from the checkpoint."""
        if 'optimizer' in checkpoint:
            checkpoint[KEY] = self._gathered

    def note(self, checkpoint: dict) -> None:
        """Note what a checkpoint holds."""
        self._noted = checkpoint.get(KEY)

    def trained_of_epoch(self, runner: Runner) -> int:
        """Iterations of the present epoch that the run which saved has trained."""
        batches = self._noted['batches'] if self._noted else len(runner.train_dataloader)
        return runner.iter - runner.epoch * batches

    def restore(self, runner: Runner) -> None:
        """Take a resumed run's place in the data, and its random numbers."""
        is_resumed = runner.iter > 0  # or starts from scratch, from whatever weights
        noted = self._noted if is_resumed else None
        _place_data(runner, noted['batches'] if noted else None)
        if not is_resumed:
            return
        _report_samples(runner, noted.get('samples') if noted else None)
        if noted is None:
            runner.logger.warning('The checkpoint has no random states: they are not restored')
        elif len(noted['states']) != get_world_size():
            runner.logger.warning(
                f'{len(noted["states"])} processes saved their random states, this run has '
                f'{get_world_size()}: they are not restored, and images are split differently'
            )
        else:
            set_random_states(noted['states'][get_rank()])

    def seed_loader(self, runner: Runner) -> None:
        """Give the loader random numbers of its own for an epoch; called before it starts.

        A loader that starts draws a number. Without a generator it is one of training's, and
        whether it starts once or in every epoch depends on its workers.
        """
        loader = runner.train_dataloader
        if loader.generator is None:
            loader.generator = self._generator
        self._generator.manual_seed(runner.seed + runner.epoch)


def _samples_of_step(runner: Runner) -> int | None:
    """Samples that all processes train in a step of the optimizer, if the loader says it."""
    loader = runner.train_dataloader
    batches = getattr(loader.batch_sampler, 'batches', loader.batch_sampler)
    size = loader.batch_size or getattr(batches, 'batch_size', None)
    accumulated = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    return size * get_world_size() * accumulated if isinstance(size, int) else None


def _report_samples(runner: Runner, before: int | None) -> None:
    now = _samples_of_step(runner)
    if None not in (before, now) and before != now:
        runner.logger.warning(
            f'The total batch size is {now}; it was {before} in the checkpoint (batch size x '
            "processes x accumulated steps). The config's batch size and the checkpoint's learning "
            'rate are used, and the order of samples differs from an uninterrupted run'
        )


def _place_data(runner: Runner, batches_before: int | None) -> None:
    """Set the position in the data to the batch after the last trained one.

    MMEngine starts an epoch from its first batch, whatever part of it was trained.

    Args:
        runner: A run, resumed or not.
        batches_before: Batches of an epoch in the run that saved, if known.
    """
    loop = runner.train_loop
    batches = loop.dataloader.batch_sampler
    is_resumable = isinstance(batches, ResumableBatchSampler)
    if isinstance(loop, IterBasedTrainLoop):
        # The loop itself would load what it skips, which that of MMEngine 0.10.7 always does.
        iterator = loop.dataloader_iterator
        can_skip = hasattr(iterator, 'skip_iter')
        if is_resumable and can_skip and isinstance(batches.sampler, InfiniteSampler):
            iterator.skip_iter = partial(setattr, batches, 'start')
        return
    length = len(loop.dataloader)
    trained = loop.iter - loop.epoch * (batches_before or length)
    if batches_before not in (None, length):
        runner.logger.warning(
            f'An epoch has {length} batches; it had {batches_before} in the checkpoint. Epoch '
            f'{loop.epoch + 1} restarts, and iterations are counted by the new length'
        )
        _count_from(runner, loop.epoch * length)
    elif is_resumable:
        batches.start = trained
    elif trained:
        runner.logger.warning(
            f'Epoch {loop.epoch + 1} restarts, although {trained} of its iterations are trained. '
            "Use train_dataloader.batch_sampler=dict(type='mmgab.ResumableBatchSampler') to "
            'resume inside an epoch'
        )
        _count_from(runner, loop.iter - trained)


def _count_from(runner: Runner, iteration: int) -> None:
    """Set the iteration counter of the training loop and its timers."""
    runner.train_loop._iter = iteration
    for hook in runner.hooks:
        if isinstance(hook, IterTimerHook):  # it has noted where the run began
            hook.start_iter = iteration
