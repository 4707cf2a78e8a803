"""A checkpoint hook for runs that may end at any instant."""

from collections.abc import Mapping, Sequence

from mmengine.dist import get_world_size
from mmengine.hooks import EMAHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner

from mmgab.registry import HOOKS
from mmgab.reliability.complete_checkpoints import INTERRUPTED, CompleteCheckpoints
from mmgab.reliability.due_validation import note_validation, owes_validation
from mmgab.reliability.exact_resume import ExactResume
from mmgab.reliability.processes import leave_processes, share_buffers
from mmgab.reliability.stop_request import STOPPED_EXIT_CODE, StopRequest
from mmgab.reliability.wrapped_model import unwrapped


@HOOKS.register_module()
class AtomicCheckpointHook(CompleteCheckpoints):
    """MMEngine's ``CheckpointHook``, for runs that may end at any instant.

    A checkpoint is written under another name in its folder, flushed to the disk, read back and
    moved to its place; only then ``last_checkpoint`` names it and older ones are deleted. The best
    checkpoints, ``last_checkpoint`` and published files are written in the same way. (A backend
    that is not a local disk gets files under their names, in the same order.)

    A run that was killed and resumed has the weights of one that was not, bit by bit on the CPU:
    random numbers are saved and restored, and neither validation nor the loader uses up any. Where
    a loader's workers live on, or an iteration inside an epoch is resumed, this needs
    :class:`~mmgab.datasets.ResumableBatchSampler`; with it the number of workers changes nothing.

    At a signal the iteration is finished, ``interrupted.pth`` is saved, which the next checkpoint
    replaces, and all processes exit with 75. Signals within a second are one request; one after
    that ends the process at once. A validation that was due where the run is resumed, and is not
    known to be done, is made first. All processes validate with the buffers of the first one, which
    are those that are saved.

    Args:
        *args: MMEngine's arguments, all of them.
        stop_signals: Names of the signals that end the run. Slurm's ``--signal=USR1@120`` sends
            the last of the default ones two minutes before the time limit.
        **kwargs: MMEngine's arguments, all of them, and ``on_failure``: where a checkpoint cannot
            be written, ``'stop'`` the run, or ``'go_on'`` and try again at the next interval; older
            ones stay.

    Raises:
        ValueError: If ``on_failure`` is neither, or a signal is none.
    """

    def __init__(
        self,
        *args: object,
        stop_signals: Sequence[str] = ('SIGTERM', 'SIGINT', 'SIGUSR1'),
        **kwargs: object,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._stop = StopRequest(stop_signals)
        self._exact_resume = ExactResume()

    def before_train(self, runner: Runner) -> None:
        """Go on exactly where a resumed run was, and listen to signals from here on.

        Raises:
            TypeError: If it is not MMEngine's ordinary runner, whose files this hook knows.
        """
        if not isinstance(runner, Runner):
            raise TypeError(
                f'AtomicCheckpointHook needs an mmengine Runner, got {type(runner).__name__}: '
                "set default_hooks.checkpoint.type='CheckpointHook' for it"
            )
        super().before_train(runner)
        is_owed = owes_validation(runner, self._exact_resume.trained_of_epoch(runner))
        self._exact_resume.restore(runner)
        self._stop.listen()
        self._stop.spare_workers(runner.train_dataloader)
        if runner.val_loop is not None:
            self._stop.spare_workers(runner.val_dataloader)
        if is_owed:
            runner.logger.info(f'Running the validation that was due after iteration {runner.iter}')
            runner.val_loop.run()

    def after_train(self, runner: Runner) -> None:
        """Publish, see the base class, and handle signals as before."""
        super().after_train(runner)
        self._stop.forget()

    def before_train_epoch(self, runner: Runner) -> None:
        """Keep training's random numbers from the loader, which starts after this."""
        self._exact_resume.seed_loader(runner)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict | None = None,
    ) -> None:
        """Save where that is due, and end where that was asked for."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        if _is_between_steps(runner):
            place = dict(epoch=runner.epoch, iter=runner.iter + 1)
            self._end_if_asked(runner, place)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence | None = None,
    ) -> None:
        """End where that was asked for."""
        # Averaged weights are in the model's place during validation: not what is to be saved.
        if not self._stop.is_listening or any(isinstance(h, EMAHook) for h in runner.hooks):
            return
        # Asking is for all processes; the last batches are not everybody's.
        loader = runner.val_dataloader
        shared = len(loader.dataset) // get_world_size()
        if loader.batch_size and batch_idx < shared // loader.batch_size:
            place = dict(epoch=runner.epoch, iter=runner.iter)
            self._end_if_asked(runner, place)

    def before_val(self, runner: Runner) -> None:
        """Keep training's random numbers from validation, which would use some up."""
        self._exact_resume.leave_training()

    def before_val_epoch(self, runner: Runner) -> None:
        """Validate what is saved: the first process's buffers, averaged ones if there are some."""
        share_buffers(unwrapped(runner.model))

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Save what is the best so far; see the base class."""
        note_validation(runner)
        super().after_val_epoch(runner, metrics)

    def after_val(self, runner: Runner) -> None:
        """Go on with the random numbers of training."""
        self._exact_resume.enter_training()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note the random numbers that a run may be resumed with."""
        self._exact_resume.note(checkpoint)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add random numbers to what a run can be resumed from."""
        self._exact_resume.add_to(checkpoint)

    def save(
        self, runner: Runner, name: str, place: Mapping, facts: Mapping, **settings: object
    ) -> bool:
        """Save a checkpoint with all processes' random numbers; see the base class."""
        self._exact_resume.gather(runner)
        return super().save(runner, name, place, facts, **settings)

    def _end_if_asked(self, runner: Runner, place: Mapping[str, int]) -> None:
        signal = self._stop.agreed()
        if signal is None:
            return
        self.save_resumable(runner, INTERRUPTED, place, {})
        ended = f'{signal}: stopped after iteration {place["iter"]}'
        newest = self.remaining()
        if newest is None:
            raise RuntimeError(f'{ended}, and {self.out_dir} has no checkpoint to resume from')
        runner.logger.warning(
            f'{ended} with exit code {STOPPED_EXIT_CODE}; --resume resumes from {newest.path}, '
            f'iteration {newest.iteration}'
        )
        leave_processes()
        raise SystemExit(STOPPED_EXIT_CODE)


def _is_between_steps(runner: Runner) -> bool:
    """Return whether no gradients are being accumulated, which a checkpoint does not hold."""
    wrapper = runner.optim_wrapper
    return getattr(wrapper, '_inner_count', 0) % getattr(wrapper, '_accumulative_counts', 1) == 0
