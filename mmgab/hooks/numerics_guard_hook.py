"""Hook that stops a run, or skips a step, if values are not finite."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.optim import Optimizer

from mmgab.registry import HOOKS
from mmgab.reliability.finite_numbers import named_floats, not_finite, too_large
from mmgab.reliability.numerics_diagnosis import (
    bad_gradients,
    first_bad_module,
    gaussian_parameters,
    image_files,
)
from mmgab.reliability.numerics_report import LISTED, sentence, write_report
from mmgab.reliability.processes import Agreement
from mmgab.reliability.random_states import random_states, set_random_states
from mmgab.reliability.run_state import optimizers_of, run_state, saved_buffers
from mmgab.reliability.wrapped_model import unwrapped

Found = TypeVar('Found')


@HOOKS.register_module()
class NumericsGuardHook(Hook):
    """Detect non-finite values in gradients, losses and the run's state.

    Gradients are checked before the optimizer step. A gradient is bad if it or its square is not
    finite in float32. An infinite square makes Adam's second moment infinite while weights stay
    finite. A bad gradient changes neither weights nor optimizer state. The loss and the model's
    buffers, such as the statistics of BatchNorm, are checked after the step.

    After a bad step the batch is run again with the same random states. A report is written to
    ``WORK_DIR/numerics/iter_N_rank_R.json``. It contains:

    - the loss terms
    - the first module with a non-finite output
    - the image files of the batch
    - amplitude and sigma of every layer
    - the state of the loss scaler

    All processes stop with the same message, which names the rank and the images of the bad batch.
    Steps that a loss scaler skips to find its scale (``AmpOptimWrapper`` with fp16) are not bad.

    The state is everything that a run resumes with: parameters, buffers, the averaged weights of an
    ``EMAHook``, and the states of optimizers, learning rates and schedules.

    Args:
        max_skips: Maximum number of consecutive bad steps that are skipped; 0 stops the run at the
            first one. A skipped step leaves the statistics of normalisation layers unchanged.
        interval: Iterations between two checks of the state. It is also checked before training and
            before every checkpoint.

    Raises:
        ValueError: If ``max_skips`` is negative or ``interval`` not positive.
    """

    priority = 'ABOVE_NORMAL'  # before anything is logged or saved

    def __init__(self, max_skips: int = 0, interval: int = 100) -> None:
        if max_skips < 0:
            raise ValueError(f'NumericsGuardHook: max_skips must be at least 0, got {max_skips}')
        if interval < 1:
            raise ValueError(f'NumericsGuardHook: interval must be at least 1, got {interval}')
        self.max_skips = max_skips
        self.interval = interval
        self._skipped = 0
        self._bad_gradients: list[str] = []
        self._handles: list = []
        self._agreement = Agreement()

    def before_train(self, runner: Runner) -> None:
        """Check the state, and register the checks of gradients.

        Raises:
            FloatingPointError: If the run would start from non-finite values.
        """
        self._model = unwrapped(runner.model)
        self._names = {parameter: name for name, parameter in self._model.named_parameters()}
        self._saved_buffers = saved_buffers(self._model)
        self._agreement.begin()
        self._check_state(runner, f'before iteration {runner.iter + 1}')
        self._optimizers = optimizers_of(runner.optim_wrapper)
        self._handles = [
            optimizer.register_step_pre_hook(self._check_gradients)
            for optimizer in self._optimizers
        ]

    def after_train(self, runner: Runner) -> None:
        """Remove the checks of gradients from the optimizers."""
        for handle in self._handles:
            handle.remove()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Save the random states and buffers needed to run the batch again or undo it."""
        self._bad_gradients = []
        self._random_states = random_states()
        if self.max_skips:
            self._buffers = [(buffer, buffer.clone()) for buffer in self._model.buffers()]

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Stop the run, or skip the step, if its values are bad.

        Raises:
            FloatingPointError: If the step is bad and ``max_skips`` is exceeded.
        """
        outputs = outputs or {}
        results = dict(self._saved_buffers, loss=outputs.get('loss'))
        bad = not_finite(list(named_floats(results)))
        # Either all processes run their batches again or none: networks may have collectives.
        if not self._agreement.largest(int(bool(bad or self._bad_gradients))):
            self._skipped = 0
            if self.every_n_train_iters(runner, self.interval):
                self._check_state(runner, f'after iteration {runner.iter + 1}')
            return
        assert data_batch is not None  # MMEngine's loops pass each batch
        self._skipped += 1
        message = self._diagnose(runner, data_batch, outputs, bad)
        if self._skipped > self.max_skips:
            raise FloatingPointError(message)
        for optimizer in self._optimizers:  # accumulated gradients include the bad batch
            optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in self._buffers:
                buffer.copy_(before)
        runner.logger.warning(f'{message} ({self._skipped} in a row, at most {self.max_skips})')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save non-finite values.

        Raises:
            FloatingPointError: If the run's state has non-finite values.
        """
        problem = _problem(runner, 'no checkpoint is written')
        if problem:
            raise FloatingPointError(problem)

    def _check_state(self, runner: Runner, when: str) -> None:
        """Raise the first problem of any process in all processes."""
        problem = _problem(runner, when)
        if self._agreement.largest(int(problem is not None)):
            raise FloatingPointError(next(filter(None, all_gather_object(problem))))

    @torch.no_grad()
    def _check_gradients(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        """Check gradients before an optimizer step, and remove all of them if any is bad."""
        found_inf = getattr(optimizer, 'found_inf', None)
        if found_inf is not None and found_inf.any():
            return  # a fused optimizer is called even if the loss scaler skips the step
        bad = too_large(
            [
                (self._names.get(parameter, 'a parameter outside the model'), parameter.grad)
                for group in optimizer.param_groups
                for parameter in group['params']
                if parameter.grad is not None
            ]
        )
        if bad:
            self._bad_gradients += bad
            optimizer.zero_grad(set_to_none=True)

    def _diagnose(
        self, runner: Runner, data_batch: Mapping, outputs: Mapping, bad: list[str]
    ) -> str:
        """Write reports of a bad step and return one message; all processes must call it."""
        first = self._run_again(first_bad_module, runner, data_batch)
        gradients: list[str] = []
        if not self._agreement.largest(int(bool(bad or first))):
            gradients = self._run_again(bad_gradients, runner, data_batch)
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        diagnosis = dict(
            iteration=runner.iter + 1,
            rank=runner.rank,
            is_batch_bad=bool(bad or first or gradients),
            losses={
                name: float(loss.detach().mean())
                for name, loss in outputs.items()
                if isinstance(loss, Tensor)
            },
            first_bad_module=first,
            bad_buffers=[name for name in bad if name in self._saved_buffers][:LISTED],
            bad_gradients=self._bad_gradients[:LISTED],
            number_of_bad_gradients=len(self._bad_gradients),
            bad_gradients_of_batch=gradients[:LISTED],
            images=image_files(data_batch),
            gaussians={n: p.tolist() for n, p in gaussian_parameters(self._model).items()},
            loss_scaler=scaler.state_dict() if scaler is not None else None,
        )
        write_report(diagnosis, runner.work_dir)
        return sentence(all_gather_object(diagnosis), runner.work_dir)

    def _run_again(
        self,
        find: Callable[[nn.Module, Mapping, OptimWrapper], Found],
        runner: Runner,
        data_batch: Mapping,
    ) -> Found:
        """Run the batch again with its random states, then restore the current ones."""
        now = random_states()
        set_random_states(self._random_states)
        try:
            return find(self._model, data_batch, runner.optim_wrapper)
        finally:
            set_random_states(now)


def _problem(runner: Runner, when: str) -> str | None:
    """Report the non-finite tensors of a run's state in this process, if any."""
    state = run_state(runner)
    bad = not_finite(state)
    if not bad:
        return None
    return (
        f'{len(bad)} of {len(state)} tensors are not finite in rank {runner.rank}, {when}: '
        f'{", ".join(bad[:LISTED])}'
    )
