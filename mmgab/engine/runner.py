"""MMEngine runner that rejects incompatible checkpoints and supports multi-process CPU runs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import torch
from mmengine.device import get_device
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmgab.checkpoints import load, read_checkpoint
from mmgab.checkpoints.contents import unwrap
from mmgab.checkpoints.mmengine_loaders import trusting
from mmgab.hooks import AtomicCheckpointHook
from mmgab.registry import RUNNERS
from mmgab.reliability.launcher_watch import end_with_launcher
from mmgab.reliability.run_state import optimizers_of
from mmgab.reliability.wrapped_model import unwrapped

from .data_loader import build_data_loader
from .model_wrapper import wrap_on_cpu
from .resumed_file import ResumedFile, checkpoint_hook_settings, read_newest_of_run
from .resumed_optimizer import settle_optimizer
from .resumed_settings import check_resumable, report_replaced, settings_of
from .resumed_state import processes_of, reduce_to_own_files, resumed_state
from .terminal_log import shorten_terminal
from .training_data import check_evaluation, check_targets
from .training_length import check_length, length_line, report_if_over


@RUNNERS.register_module()
class CheckedRunner(Runner):
    """MMEngine's runner with three differences.

    A checkpoint that is tested or resumed must have every tensor of the model; where it is tested,
    tables of another window are resized. One that training starts from (``load_from``) must fit the
    backbone; heads of another size keep their initial values. What was loaded is logged in one
    line. Code that a file carries is not run, unless the config sets ``trust_checkpoints``.

    A run that is resumed without a path resumes from the newest checkpoint that can be read, and
    with the seed of that run where the config has none; what was skipped is logged.

    With a launcher on a machine that has no accelerator, processes meet through gloo, where
    MMEngine's own launcher asks for a GPU whatever the backend.
    """

    _is_testing = False
    _load_from: str | None
    build_dataloader = staticmethod(build_data_loader)

    def setup_env(self, env_cfg: dict) -> None:
        """Set up processes and their environment; see the base class."""
        end_with_launcher()
        if self.distributed and get_device() == 'cpu' and not is_distributed():
            if self._launcher != 'pytorch':
                raise ValueError(
                    f'--launcher {self._launcher} needs an accelerator; without one only '
                    'pytorch (torchrun, as in tools/dist_train.sh) works'
                )
            timeout = env_cfg.get('dist_cfg', {}).get('timeout')  # in seconds, as in MMEngine's
            torch.distributed.init_process_group(
                'gloo', timeout=None if timeout is None else timedelta(seconds=timeout)
            )
        super().setup_env(env_cfg)

    def build_logger(
        self, log_level: int | str = 'INFO', log_file: str | None = None, **kwargs: object
    ) -> MMLogger:
        """Build the logger; the terminal gets short lines unless the config sets ``verbose``."""
        logger = super().build_logger(log_level, log_file, **kwargs)
        if not self.cfg.get('verbose', False):
            shorten_terminal(logger)
        return logger

    def set_randomness(
        self,
        seed: int | None = None,
        diff_rank_seed: bool = False,
        deterministic: bool = False,
    ) -> None:
        """Set the seed, that of the resumed run if it is one; see the base class.

        MMEngine takes the checkpoint's seed too, but after it has built the samplers.
        """
        resumed = self._resumed.seed if self.cfg.get('resume') else None
        seed = seed if resumed is None else resumed
        super().set_randomness(seed, diff_rank_seed, deterministic)

    @cached_property
    def _resumed(self) -> ResumedFile:
        return ResumedFile(self.cfg, self.work_dir)

    def _checkpoint_folder(self) -> Path:
        """Return the folder that MMEngine's checkpoint hook saves to."""
        out_dir = checkpoint_hook_settings(self.cfg).get('out_dir')
        return Path(out_dir, Path(self.work_dir).name) if out_dir else Path(self.work_dir)

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the training loop; see the base class.

        Raises:
            ValueError: If there is nothing to train.
        """
        if isinstance(loop, dict):
            check_length(loop)
        built = super().build_train_loop(loop)
        check_targets(built.dataloader.dataset)
        self.logger.info(length_line(built))
        return built

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the validation loop; see the base class.

        Raises:
            ValueError: If its evaluator does not belong to its data or to those of training.
        """
        built = super().build_val_loop(loop)
        is_training = isinstance(self._train_loop, BaseLoop)
        check_evaluation(built, self._train_loop.dataloader.dataset if is_training else None)
        return built

    def build_test_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Build the test loop; see the base class.

        Raises:
            ValueError: If its evaluator does not belong to its data.
        """
        built = super().build_test_loop(loop)
        check_evaluation(built, None)
        return built

    def load_or_resume(self) -> None:
        """Load or resume what the config says; see the base class.

        Raises:
            ValueError: If a run is to be resumed, and none of its checkpoints can be read.
        """
        if self._resume and self._load_from is None and not self._has_loaded:
            self._load_from = self._resumed.path
            for reason in self._resumed.skipped:
                self.logger.warning(reason)
            if self._load_from is None:
                self.logger.info(f'{self.work_dir} holds no checkpoint: starting from scratch')
                return
            self.logger.info(f'Resuming from {self._load_from}')
        try:
            super().load_or_resume()
        except ValueError as error:
            raise ValueError(f'{error}{self._alternative()}') from error

    def _alternative(self) -> str:
        """Name another checkpoint where the one that the user gave cannot be resumed from."""
        given = self.cfg.get('load_from')
        if not self._resume or given is None:
            return ''
        with suppress(OSError, ValueError):
            path = read_newest_of_run(self.cfg, Path(given).parent).path
            if path is not None and Path(path).resolve() != Path(given).resolve():
                return f'. Another checkpoint of this run can be resumed from: {path}'
        return ''

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str = 'cpu',
    ) -> None:
        """Resume from a checkpoint, and report which of its settings differ; see the base class.

        Args:
            filename: What :func:`mmgab.checkpoints.read_checkpoint` reads.
            resume_optimizer: Whether to resume the optimizer's state.
            resume_param_scheduler: Whether to resume the state of schedules.
            map_location: Device for all except the weights. Optimizers copy their
                state to where their parameters are, so that the file takes no memory there.

        Raises:
            ValueError: If it has no state of training, or one of another optimizer.
        """
        config = settings_of(self)
        super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
        report_replaced(self, config, filename)
        for optimizer in optimizers_of(self.optim_wrapper):
            settle_optimizer(optimizer, filename)
        report_if_over(self)

    def _init_model_weights(self) -> None:
        with trusting(self.cfg.get('trust_checkpoints', False)):
            super()._init_model_weights()

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap the model for distributed training; see the base class."""
        if not self.distributed or get_device() != 'cpu' or is_model_wrapper(model):
            return super().wrap_model(model_wrapper_cfg, model)
        self.logger.info('No accelerator: SyncBatchNorm runs as BatchNorm in each process')
        is_finding = self.cfg.get('find_unused_parameters', False)
        return wrap_on_cpu(model_wrapper_cfg, model, is_finding)

    def load_checkpoint(
        self,
        filename: str,
        map_location: str = 'cpu',
        strict: bool | None = None,
        revise_keys: Sequence = (),
    ) -> Mapping:
        """Load a checkpoint into the model and log what was loaded.

        Args:
            filename: What :func:`mmgab.checkpoints.read_checkpoint` reads.
            map_location: Device for all except the weights.
            strict: Whether all tensors must be there; by default they must in a test or a resumed
                run.
            revise_keys: Not supported; the prefix ``module.`` is always stripped.

        Returns:
            The file's contents.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read or does not fit; nothing is loaded.
        """
        if revise_keys:
            raise ValueError(f'revise_keys is not supported, got {revise_keys!r}')
        checkpoint = self._take(filename, map_location)
        if self._resume:
            checkpoint = self._state_to_resume(checkpoint, filename)
        if 'state_dict' not in checkpoint:  # where MMEngine's hooks look
            checkpoint = dict(checkpoint, state_dict=unwrap(checkpoint, filename)[0])
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        model = unwrapped(self.model)
        model = model.module if isinstance(model, BaseTTAModel) else model
        strict = (self._resume or self._is_testing) if strict is None else strict
        resize = not self._resume
        report = load(
            model, filename, strict, resize, checkpoint=checkpoint, is_complete_model=True
        )
        self._has_loaded = True
        self.logger.info(str(report))
        return checkpoint

    def _state_to_resume(self, checkpoint: Mapping, filename: str) -> Mapping:
        state = resumed_state(checkpoint, filename)
        check_resumable(self, state, filename)
        if not any(isinstance(hook, AtomicCheckpointHook) for hook in self.hooks):
            state = reduce_to_own_files(state, self._checkpoint_folder())
        processes = processes_of(checkpoint)
        if processes not in (None, self._world_size):
            self.logger.warning(
                f'{processes} processes trained {filename}, this run has {self._world_size}, so '
                'the total batch size differs'
            )
        return state

    def _take(self, filename: str, map_location: str) -> Mapping:
        """Return the content of a checkpoint, read now or when it was found, and release it."""
        held = self._resumed.take(filename) if self.cfg.get('resume') else None
        is_trusted = self.cfg.get('trust_checkpoints', False)
        return read_checkpoint(filename, map_location, is_trusted) if held is None else held

    def test(self) -> dict:
        """Test the checkpoint in ``load_from``, which must fit; see the base class."""
        self._is_testing = True
        return super().test()
