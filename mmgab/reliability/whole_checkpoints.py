"""Checkpoint files that are whole or not there, at any instant; the older ones go last."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmgab.checkpoints import read_checkpoint
from mmgab.checkpoints.atomic_file import remove_abandoned, replacing
from mmgab.checkpoints.publish import publish

from .newest_checkpoint import LAST

INTERRUPTED = 'interrupted.pth'


class WholeCheckpoints(CheckpointHook):
    """MMEngine's ``CheckpointHook`` with another way to write, and another order.

    A file is written under another name in its folder, flushed to the disk, read back and moved to
    its place; only then ``last_checkpoint`` names it and older ones are deleted.

    Args:
        *args: MMEngine's arguments, all of them.
        on_failure: Where a checkpoint cannot be written, ``'stop'`` the run, or ``'go_on'`` and try
            again at the next interval.
        **kwargs: MMEngine's arguments, all of them.

    Raises:
        ValueError: If ``on_failure`` is neither.
    """

    def __init__(self, *args: object, on_failure: str = 'stop', **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        if on_failure not in ('stop', 'go_on'):
            raise ValueError(f"on_failure must be 'stop' or 'go_on', got {on_failure!r}")
        self.on_failure = on_failure

    def before_train(self, runner: Runner) -> None:
        """Find the folder, and delete what a run that was killed did not finish writing there."""
        super().before_train(runner)
        if not is_main_process() or not isinstance(self.file_backend, LocalBackend):
            return
        for folder in {Path(self.out_dir), Path(runner.work_dir)}:
            for path in remove_abandoned(folder):
                runner.logger.info(f'deleted {path}: the run that was writing it was killed')

    def save(
        self,
        runner: Runner,
        name: str,
        place: Mapping,
        facts: Mapping,
        is_latest: bool = False,
        **settings: object,
    ) -> bool:
        """Save a checkpoint whole, or leave everything as it was; all processes call it.

        Args:
            runner: What to save.
            name: Of the file.
            place: Epoch and iteration, as MMEngine counts them in a file's ``meta``.
            facts: For the run's message hub, in this file already.
            is_latest: Note it where a run that is resumed looks.
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
            if is_latest:
                self._point_to(runner, name)
        except (OSError, ValueError) as error:
            problem = getattr(error, 'strerror', None) or str(error)
        problems = [problem]
        broadcast_object_list(problems)  # of the process that writes
        if problems[0] is None:
            return True
        hub.runtime_info.clear()
        hub.runtime_info.update(before)
        self._report(runner, name, problems[0])
        return False

    def _write(self, runner: Runner, name: str, place: dict, settings: Mapping) -> None:
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
                runner.logger.warning(f'To resume from this run takes --trust: {error}')

    def _report(self, runner: Runner, name: str, reason: str) -> None:
        older = f'{self.last_ckpt} is untouched' if self.last_ckpt else 'there is none before it'
        text = f'checkpoint {name} cannot be written to {self.out_dir}: {reason}'
        if isinstance(self.file_backend, LocalBackend) and Path(self.out_dir).is_dir():
            text += f' ({shutil.disk_usage(self.out_dir).free / 2**20:.0f} MiB free)'
        if self.on_failure == 'stop':
            raise RuntimeError(f"{text}; {older}. on_failure='go_on' would go on without it")
        runner.logger.error(f'{text}; {older}. Training goes on without it')

    def _point_to(self, runner: Runner, name: str) -> None:
        """Note the latest checkpoint, in the file where MMEngine looks for it."""
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        if is_main_process():
            with replacing(Path(runner.work_dir, LAST)) as temporary:
                temporary.write_text(self.last_ckpt)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Save; then note it as the latest; then delete what is older than is to be kept."""
        name = self.filename_tmpl.format(step)
        path = self.file_backend.join_path(self.out_dir, name)
        facts, outdated = {'last_ckpt': path}, []
        if self.max_keep_ckpts > 0:
            kept = [*(known for known in self.keep_ckpt_ids if known != step), step]
            outdated = kept[: -self.max_keep_ckpts]
            # With what is deleted below: a run that ends before that deletes it when resumed.
            facts['keep_ckpt_ids'] = kept
        if not self.save(runner, name, meta, facts, is_latest=True):
            return
        if self.max_keep_ckpts > 0:
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(kept)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        for old in (INTERRUPTED, *map(self.filename_tmpl.format, outdated)):
            self._delete(self.file_backend.join_path(self.out_dir, old))

    def _save_best_checkpoint(self, runner: Runner, metrics: Mapping[str, float]) -> None:
        """Save the weights for each metric that is better than ever, then delete its old ones.

        Raises:
            KeyError: If a metric of ``save_best`` was not measured.
        """
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        place = dict(epoch=runner.epoch, iter=runner.iter)
        step = runner.epoch if self.by_epoch else runner.iter
        rules = dict(zip(self.key_indicators, self.rules, strict=True))
        saved = [
            self._save_if_best(runner, metrics, key, rule, place, step)
            for key, rule in rules.items()
        ]
        if any(saved) and self.last_ckpt is not None:  # which is to know of them
            self._save_checkpoint_with_step(runner, step, place)

    def _save_if_best(
        self, runner: Runner, metrics: Mapping, key: str, rule: str, place: dict, step: int
    ) -> bool:
        if key not in metrics:
            raise KeyError(f'save_best={key!r} was not measured; there are {sorted(metrics)}')
        suffix = '' if len(self.key_indicators) == 1 else f'_{key}'
        info, score = runner.message_hub.runtime_info, metrics[key]
        best = info.get(f'best_score{suffix}', self.init_value_map[rule])
        if score is None or not self.is_better_than[key](score, best):
            return False
        previous = info.get(f'best_ckpt{suffix}')
        name = f'best_{key}_{self.filename_tmpl.format(step)}'.replace('/', '_')
        path = self.file_backend.join_path(self.out_dir, name)
        facts = {f'best_score{suffix}': score, f'best_ckpt{suffix}': path}
        if not self.save(
            runner, name, place, facts, save_optimizer=False, save_param_scheduler=False
        ):
            return False
        if suffix:
            self.best_ckpt_path_dict[key] = path
        else:
            self.best_ckpt_path = path
        runner.logger.info(f'{key} {score:.4f} is the best so far: saved in {name}')
        if previous and previous != path:
            self._delete(previous)
        return True

    def _delete(self, path: str) -> None:
        if is_main_process() and self.file_backend.isfile(path):
            self.file_backend.remove(path)

    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        """Write the weights for others beside a checkpoint, with their hash in the name."""
        if not is_main_process() or not ckpt_path:
            return
        checkpoint = read_checkpoint(ckpt_path, trust=runner.cfg.get('trust_checkpoints', False))
        kept = {key: checkpoint[key] for key in self.published_keys if key in checkpoint}
        try:
            runner.logger.info(f'{ckpt_path} is published as {publish(kept, Path(ckpt_path))}')
        except FileExistsError as error:
            runner.logger.info(str(error))
