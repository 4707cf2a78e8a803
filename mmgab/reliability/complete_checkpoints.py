"""Save and delete checkpoints in an order that survives a kill at any instant."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend
from mmengine.runner import Runner, find_latest_checkpoint

from mmgab.atomic_file import remove_abandoned
from mmgab.checkpoints import read_checkpoint
from mmgab.checkpoints.publication import publish

from .atomic_saving import AtomicSaving, Resumable
from .checkpoint_note import LAST
from .checkpoint_search import INTERRUPTED
from .disk_failures import of_main_process, reason
from .listed_files import KEPT_STEPS, LAST_CHECKPOINT, OUTDATED, best_key, reduce_lists, score_key
from .watched_logs import WatchedLogs

_RUN = 'run_id'  # in runtime_info: the same in all files of a run


class CompleteCheckpoints(AtomicSaving):
    """MMEngine's ``CheckpointHook`` that deletes old checkpoints only after a new one is complete.

    Each checkpoint lists the files that it makes outdated. They are deleted once the checkpoint is
    complete. If the run is killed before that, the resumed run deletes them.

    Args:
        *args: All arguments of MMEngine's hook.
        **kwargs: All arguments of MMEngine's hook, and ``on_failure``; see the base class.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._logs = WatchedLogs(self._disk)

    def before_run(self, runner: Runner) -> None:
        """Start watching the disk that logs are written to."""
        self._logs.begin(runner)

    def after_run(self, runner: Runner) -> None:
        """Stop watching the logs."""
        self._logs.end()

    def before_train(self, runner: Runner) -> None:
        """Find the checkpoint folder, and finish the saving and deleting of a killed run.

        Raises:
            RuntimeError: If a file cannot be deleted and ``on_failure`` stops the run.
        """
        listed = self._take_lists(runner)  # MMEngine's hook deletes all files in these lists
        super().before_train(runner)
        self._remove_partial_files(runner)
        self._restore_lists(runner, listed)
        if self.newest is not None and self._point_to(runner, self.newest.path):
            self._delete_outdated(runner)

    def after_train(self, runner: Runner) -> None:
        """Publish checkpoints (see the base class) and delete the one saved at a signal.

        Raises:
            RuntimeError: If the last checkpoint could not be written.
        """
        if self.missing is not None:
            raise RuntimeError(
                f'training has ended, but its last checkpoint {self.missing} could not be written '
                f'to {self.out_dir}; {self._what_stays(self.missing)}'
            )
        super().after_train(runner)
        self._drop_interrupted(runner)

    def _metrics(self) -> dict[str, str]:
        """Return the metrics of ``save_best`` with the suffix of their keys in ``runtime_info``."""
        metrics = self.key_indicators if self.save_best else []
        return {metric: '' if len(metrics) == 1 else f'_{metric}' for metric in metrics}

    def _take_lists(self, runner: Runner) -> dict[str, object]:
        """Remove the lists of a checkpoint from the message hub and return them."""
        hub = runner.message_hub
        keys = [LAST_CHECKPOINT, KEPT_STEPS, OUTDATED, _RUN]
        for suffix in self._metrics().values():
            keys += [best_key(suffix), score_key(suffix)]
        for key in keys:
            hub._resumed_keys.pop(key, None)  # the file's flag, which decides if the key is saved
        return {key: hub.runtime_info.pop(key) for key in keys if key in hub.runtime_info}

    def _restore_lists(self, runner: Runner, listed: Mapping[str, object]) -> None:
        """Restore the entries of the lists that are this hook's own."""
        reduced = of_main_process(self._reduce(runner, listed) if is_main_process() else None)
        assert reduced is not None  # the main process sent it
        path, facts, problems = reduced
        for problem in problems:
            runner.logger.warning(problem)
        for key, value in facts.items():
            runner.message_hub.update_info(key, value)
        self.newest = None if path is None else Resumable(path, runner.iter)
        self.last_ckpt = facts.get(LAST_CHECKPOINT)
        for metric, suffix in self._metrics().items():
            self._set_best(metric, facts.get(best_key(suffix)))

    def _reduce(self, runner: Runner, listed: Mapping) -> tuple[str | None, dict, list[str]]:
        """Return the run's checkpoint that was resumed, the hook's own entries, and problems."""
        run = listed.get(_RUN)
        facts = {_RUN: run if isinstance(run, str) else uuid.uuid4().hex}
        source = None
        if runner.iter:
            source = runner._load_from or find_latest_checkpoint(runner.work_dir)
        if source is None:
            return None, facts, []
        if not self._files.is_here(source):
            problem = (
                f'{source} is not in {self._files.folder}: files that it lists are not deleted'
            )
            return None, facts, [f'{problem}, and the best checkpoint is reset']
        reduced, problems = reduce_lists(listed, self._files, self._metrics())
        name = Path(source).name
        is_own = name == INTERRUPTED or self._files.step_of(name) is not None
        return self._files.path(name) if is_own else None, {**facts, **reduced}, problems

    def _remove_partial_files(self, runner: Runner) -> None:
        if not is_main_process() or not isinstance(self.file_backend, LocalBackend):
            return
        for folder in {Path(self.out_dir), Path(runner.work_dir)}:
            for path in remove_abandoned(folder):
                runner.logger.info(f'deleted {path}: the run that was writing it was killed')

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: Mapping) -> None:
        """Save a checkpoint, record it as the newest, then delete outdated files."""
        name = self._files.regular_name(step)
        info = runner.message_hub.runtime_info
        outdated = [each for each in info.get(OUTDATED, []) if each != INTERRUPTED]
        if self._files.has(INTERRUPTED):
            outdated.append(INTERRUPTED)
        facts = {LAST_CHECKPOINT: self._files.path(name), OUTDATED: outdated}
        if self.max_keep_ckpts > 0:
            facts[KEPT_STEPS] = [*(kept for kept in info.get(KEPT_STEPS, []) if kept != step), step]
        is_done = self.save_resumable(runner, name, meta, facts)
        self.last_ckpt = info.get(LAST_CHECKPOINT)
        if is_done:
            self._delete_outdated(runner)

    def _save_best_checkpoint(self, runner: Runner, metrics: Mapping[str, float]) -> None:
        """Save the weights for each metric with a new best, then the checkpoint again.

        Raises:
            KeyError: If a metric of ``save_best`` was not measured.
        """
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        step = runner.epoch if self.by_epoch else runner.iter
        rules = dict(zip(self.key_indicators, self.rules, strict=True))
        saved = [
            self._save_if_best(runner, metrics, key, rule, step) for key, rule in rules.items()
        ]
        if not any(saved):
            return
        if self.last_ckpt is None:  # there is no checkpoint to list them
            self._delete_outdated(runner)
        else:
            place = dict(epoch=runner.epoch, iter=runner.iter)
            self._save_checkpoint_with_step(runner, step, place)

    def _save_if_best(
        self, runner: Runner, metrics: Mapping, metric: str, rule: str, step: int
    ) -> bool:
        if metric not in metrics:
            raise KeyError(
                f'save_best={metric!r} is not a metric of this validation; it has {sorted(metrics)}'
            )
        suffix, score = self._metrics()[metric], metrics[metric]
        info = runner.message_hub.runtime_info
        best = info.get(score_key(suffix), self.init_value_map[rule])
        previous = info.get(best_key(suffix))
        name = self._files.best_name(metric, step)
        path = self._files.path(name)
        if score is None or not self.is_better_than[metric](score, best):
            self._delete_unknown(runner, [] if path == previous else [name])
            return False
        outdated = {*info.get(OUTDATED, []), *([Path(previous).name] if previous else [])} - {name}
        facts = {score_key(suffix): float(score), best_key(suffix): path}
        facts[OUTDATED] = sorted(outdated)
        place = dict(epoch=runner.epoch, iter=runner.iter)
        is_saved = self.save(
            runner, name, place, facts, save_optimizer=False, save_param_scheduler=False
        )
        if is_saved:
            self._set_best(metric, path)
            runner.logger.info(f'{metric} {score:.4f} is the best so far: saved in {name}')
        return is_saved

    def _set_best(self, metric: str, path: str | None) -> None:
        """Set the best checkpoint that MMEngine's hook publishes."""
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[metric] = path

    def _delete_unknown(self, runner: Runner, names: Sequence[str]) -> None:
        """Delete best checkpoints of this run that no checkpoint lists.

        The run was killed after it wrote them, and the repeated validation is not the best. Files
        of other runs stay.
        """
        run = runner.message_hub.runtime_info[_RUN]
        self._delete([name for name in names if is_main_process() and self._run_of(name) == run])

    def _run_of(self, name: str) -> object:
        """Return the id of the run that wrote a file; None for other files."""
        if not self._files.has(name):
            return None
        try:
            checkpoint = read_checkpoint(self._files.path(name), 'meta')
            return checkpoint['message_hub']['runtime_info'].get(_RUN)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # not a file of this hook

    def _publish_model(self, runner: Runner, ckpt_path: str | None) -> None:
        """Write the weights for publishing next to a checkpoint, with their hash in the name."""
        if not ckpt_path:
            return
        problem = None
        try:
            if is_main_process():
                self._publish(runner, Path(ckpt_path))
        except (OSError, ValueError) as error:
            problem = reason(error, self._files.folder)
        self._disk.settle(ckpt_path, of_main_process(problem), 'published')

    def _publish(self, runner: Runner, path: Path) -> None:
        if not self._files.has(path.name):
            runner.logger.error(f'{path} is not published: the file does not exist')
            return
        checkpoint = read_checkpoint(path, trust=runner.cfg.get('trust_checkpoints', False))
        kept = {key: checkpoint[key] for key in self.published_keys if key in checkpoint}
        try:
            runner.logger.info(f'{path} is published as {publish(kept, path)}')
        except FileExistsError as error:
            runner.logger.info(str(error))

    def _drop_interrupted(self, runner: Runner) -> None:
        """Delete the checkpoint saved at a signal, unless another one has replaced it."""
        if self.newest is None or self.newest.path != self._files.path(INTERRUPTED):
            return
        self.newest = None
        if self.last_ckpt is not None:
            self._point_to(runner, self.last_ckpt)
        elif is_main_process():
            note = Path(runner.work_dir, LAST)
            with self._disk.watch(str(note)):
                note.unlink(missing_ok=True)
        self._delete([INTERRUPTED])
