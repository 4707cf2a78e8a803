"""Save one checkpoint atomically, update ``last_checkpoint`` and delete outdated files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmgab.atomic_file import replacing
from mmgab.checkpoints import read_checkpoint

from .checkpoint_note import LAST
from .disk_failures import DiskFailures, of_main_process, reason
from .listed_files import KEPT_STEPS, OUTDATED
from .own_files import ANY_METRIC, OwnFiles


@dataclass(frozen=True)
class Resumable:
    """The newest checkpoint that a run has written or was resumed from.

    Attributes:
        path: Where it is.
        iteration: Iterations that were done when it was saved.
    """

    path: str
    iteration: int


class AtomicSaving(CheckpointHook):
    """Saves a file atomically, notes it in ``last_checkpoint``, and deletes outdated ones last.

    Args:
        *args: MMEngine's arguments, all of them.
        on_failure: Where a file cannot be written or deleted, ``'stop'`` the run, or ``'go_on'``
            and try again at the next interval.
        **kwargs: MMEngine's arguments, all of them.

    Attributes:
        newest: The checkpoint to resume from; None where the folder has none of this run yet.
        missing: Name of the checkpoint that was due last, if it could not be written.

    Raises:
        ValueError: If ``on_failure`` is neither.
    """

    def __init__(self, *args: Any, on_failure: str = 'stop', **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.newest: Resumable | None = None
        self.missing: str | None = None
        self._disk = DiskFailures(on_failure)

    def before_train(self, runner: Runner) -> None:
        """Find the folder; see the base class."""
        super().before_train(runner)
        self._files = OwnFiles(self.file_backend, str(self.out_dir), self.filename_tmpl)

    def save(
        self, runner: Runner, name: str, place: Mapping, facts: Mapping, **settings: object
    ) -> bool:
        """Save a checkpoint atomically, or leave everything unchanged; all processes call it.

        Args:
            runner: What to save.
            name: Of the file.
            place: Epoch and iteration, as MMEngine counts them in a file's ``meta``.
            facts: For the run's message hub, in this file already.
            **settings: For ``Runner.save_checkpoint``, instead of this hook's.

        Returns:
            Whether it was saved, the same in all processes.

        Raises:
            RuntimeError: If it could not be, and that is to stop the run.
        """
        hub = runner.message_hub
        before = dict(hub.runtime_info)
        for key, value in facts.items():
            hub.update_info(key, value)
        problem = None
        try:
            self._write(runner, name, place, settings)
        except (OSError, ValueError) as error:
            problem = reason(error, self._files.folder)
        problem = of_main_process(problem)
        is_best = self._files.is_best(name, ANY_METRIC)
        subject = f'{"best checkpoints" if is_best else "checkpoints"} in {self.out_dir}'
        if problem is None:
            return self._disk.settle(subject, None)
        hub.runtime_info.clear()
        hub.runtime_info.update(before)
        text = f'checkpoint {name} cannot be written to {self.out_dir}: {problem}'
        self._disk.report(subject, f'{text}; {self._what_stays(name)}')
        return False

    def save_resumable(self, runner: Runner, name: str, place: Mapping, facts: Mapping) -> bool:
        """Save a checkpoint to resume from and note it in ``last_checkpoint``; see :meth:`save`.

        Returns:
            Whether both were done, so that older checkpoints may go.
        """
        if not self.save(runner, name, place, facts):
            if self.newest is None or self.newest.iteration != place['iter']:
                self.missing = name
            return False
        self.missing = None
        self.newest = Resumable(self._files.path(name), place['iter'])
        return self._point_to(runner, self.newest.path)

    def remaining(self) -> Resumable | None:
        """The checkpoint to resume from, if it is still there; all processes call it."""
        is_there = self.newest is not None and self._files.has(Path(self.newest.path).name)
        return self.newest if of_main_process(is_there) else None

    def _write(self, runner: Runner, name: str, place: Mapping, settings: Mapping) -> None:
        arguments = dict(
            file_client_args=self.file_client_args,
            backend_args=self.backend_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=dict(place),
            by_epoch=self.by_epoch,
        )
        arguments.update(self.args)
        arguments.update(settings)
        if not isinstance(self.file_backend, LocalBackend):
            runner.save_checkpoint(self.out_dir, name, **arguments)
        elif is_main_process():
            with replacing(Path(self.out_dir, name)) as temporary:
                runner.save_checkpoint(self.out_dir, temporary.name, **arguments)
                self._read_back(runner, temporary)

    def _read_back(self, runner: Runner, path: Path) -> None:
        try:
            read_checkpoint(path)
        except ValueError as error:
            read_checkpoint(path, trust=True)  # this process wrote it: nothing runs that did not
            if not runner.cfg.get('trust_checkpoints', False):
                runner.logger.warning(f'Resuming from this run requires --trust: {error}')

    def _what_stays(self, name: str) -> str:
        if self.newest is None:
            return 'there is no earlier checkpoint'
        if self.newest.path == self._files.path(name):
            return f'the checkpoint saved before at iteration {self.newest.iteration} is unchanged'
        return f'{self.newest.path} is unchanged (iteration {self.newest.iteration})'

    def _point_to(self, runner: Runner, path: str) -> bool:
        """Note the newest checkpoint in the file where MMEngine looks for it."""
        note, problem = Path(runner.work_dir, LAST), None
        if is_main_process():
            try:
                with replacing(note) as temporary:
                    temporary.write_text(path)
            except OSError as error:
                problem = reason(error, note.parent)
        return self._disk.settle(str(note), of_main_process(problem))

    def _delete_outdated(self, runner: Runner) -> None:
        """Delete files listed as outdated in the newest checkpoint, and list those that remain."""
        hub = runner.message_hub
        steps, names = hub.runtime_info.get(KEPT_STEPS, []), hub.runtime_info.get(OUTDATED, [])
        old = steps[: -self.max_keep_ckpts] if self.max_keep_ckpts > 0 else []
        undeleted = self._delete([*map(self._files.regular_name, old), *names])
        remaining = [s for s in steps if s not in old or self._files.regular_name(s) in undeleted]
        hub.update_info(KEPT_STEPS, remaining)
        hub.update_info(OUTDATED, [name for name in names if name in undeleted])

    def _delete(self, names: Iterable[str]) -> set[str]:
        """Delete files of the folder; returns the names of those that the disk does not let go."""
        newest = self.newest and Path(self.newest.path).name
        problems: dict[str, str | None] = {}
        for name in names if is_main_process() else ():
            try:
                problems[name] = None
                if name != newest:
                    self._files.delete(name)
            except OSError as error:
                problems[name] = reason(error, self._files.folder)
        problems = of_main_process(problems)
        for name, problem in problems.items():
            self._disk.settle(self._files.path(name), problem, 'deleted')
        return {name for name, problem in problems.items() if problem is not None}
