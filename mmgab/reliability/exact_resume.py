"""Exact resuming: random states and the position in the data."""

from functools import partial

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import IterTimerHook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmgab.datasets import ResumableBatchSampler

from .random_states import random_states, set_random_states

# Checkpoint key of random states by rank, batches per epoch and samples per optimizer step.
KEY = 'exact_resume'


class ExactResume:
    """Random states of training, preserved across validation, checkpoints and resumed runs."""

    def __init__(self) -> None:
        self._left: dict | None = None  # random states of training, during validation
        self._gathered: dict = {}
        self._noted: dict | None = None
        self._generator = torch.Generator()  # of the data loader

    def leave_training(self) -> None:
        """Save the random states of training."""
        self._left = random_states()

    def enter_training(self) -> None:
        """Restore the saved random states."""
        assert self._left is not None, 'leave_training comes first'
        set_random_states(self._left)
        self._left = None

    def gather(self, runner: Runner) -> None:
        """Collect the random states of all processes; all processes must call it."""
        states = all_gather_object(self._left or random_states())
        self._gathered = dict(
            states=states, batches=len(runner.train_dataloader), samples=_samples_of_step(runner)
        )

    def add_to(self, checkpoint: dict) -> None:
        """Add the collected states to a checkpoint that a run can be resumed from."""
        if 'optimizer' in checkpoint:
            checkpoint[KEY] = self._gathered

    def note(self, checkpoint: dict) -> None:
        """Store the states of a loaded checkpoint."""
        self._noted = checkpoint.get(KEY)

    def trained_of_epoch(self, runner: Runner) -> int:
        """Return the iterations of the current epoch that precede the checkpoint."""
        batches = self._noted['batches'] if self._noted else len(runner.train_dataloader)
        return runner.iter - runner.epoch * batches

    def restore(self, runner: Runner) -> None:
        """Restore a resumed run's position in the data and its random states."""
        is_resumed = runner.iter > 0  # False: starts from scratch, maybe from pretrained weights
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
        """Seed the data loader's own generator for an epoch; call it before the loader starts.

        A loader draws a random number when it starts. By default the number comes from the random
        state of training. Whether a loader starts once or in every epoch depends on its workers.
        """
        loader = runner.train_dataloader
        if loader.generator is None:
            loader.generator = self._generator
        self._generator.manual_seed(runner.seed + runner.epoch)


def _samples_of_step(runner: Runner) -> int | None:
    """Return the samples per optimizer step over all processes, or None if unknown."""
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

    MMEngine itself starts an interrupted epoch from its first batch.

    Args:
        runner: Runner of a new or a resumed run.
        batches_before: Batches per epoch in the run that saved the checkpoint; None if unknown.
    """
    loop = runner.train_loop
    batches = loop.dataloader.batch_sampler
    is_resumable = isinstance(batches, ResumableBatchSampler)
    if isinstance(loop, IterBasedTrainLoop):
        # By default the loop loads the batches that it skips; MMEngine 0.10.7 always does.
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
        if isinstance(hook, IterTimerHook):  # it stores the first iteration of the run
            hook.start_iter = iteration
