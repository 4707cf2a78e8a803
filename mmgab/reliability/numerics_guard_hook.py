"""A hook that ends a run, or leaves out a step, where numbers stop being finite."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor
from torch.optim import Optimizer

from mmgab.registry import HOOKS

from .numerics_diagnosis import (
    first_bad_module,
    floats,
    gaussian_parameters,
    image_files,
    not_finite,
)
from .processes import Agreement
from .random_states import random_states, set_random_states
from .wrapped_model import unwrapped

_LISTED = 20  # names of tensors in a message or file; all of a network's may be bad


@HOOKS.register_module()
class NumericsGuardHook(Hook):
    """Look for losses, gradients and parameters that are not finite, and tell where they began.

    Gradients are looked at before the optimizer takes them: none that is bad gets to a weight. (A
    loss that is bad while its gradients are not is seen after the step.) Then the batch is run once
    more, with the random numbers that it had, and
    ``WORK_DIR/numerics/iter_N_rank_R.json`` gets the loss terms, the first module with an output
    that is not finite, the batch's image files, amplitude and sigma of every layer and the state of
    the loss scaler. A scaler's own search for its scale (``AmpOptimWrapper`` with fp16), which
    leaves out steps as well, is none of this.

    Args:
        max_skips: Bad steps in a row that are left out before the run ends; 0 ends it at the first.
            Statistics of normalisation layers are then those of before the step.
        interval: Iterations from one look at the parameters to the next. They are looked at before
            training and before every checkpoint too.

    Raises:
        ValueError: If ``max_skips`` is negative or ``interval`` not positive.
    """

    priority = 'ABOVE_NORMAL'  # before anything is logged or saved

    def __init__(self, max_skips: int = 0, interval: int = 100) -> None:
        if max_skips < 0:
            raise ValueError(f'NumericsGuardHook: max_skips must not be negative, got {max_skips}')
        if interval < 1:
            raise ValueError(f'NumericsGuardHook: interval must be at least 1, got {interval}')
        self.max_skips = max_skips
        self.interval = interval
        self._skipped = 0
        self._bad_gradients: list[str] = []
        self._handles: list = []
        self._agreement = Agreement()

    def before_train(self, runner: Runner) -> None:
        """Look at the parameters, and from now on at gradients.

        Raises:
            FloatingPointError: If the run would start from numbers that are not finite.
        """
        self._model = unwrapped(runner.model)
        self._names = {parameter: name for name, parameter in self._model.named_parameters()}
        self._check_parameters(f'before iteration {runner.iter + 1}')
        self._agreement.begin()
        wrapper = runner.optim_wrapper
        wrappers = wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        self._optimizers = [each.optimizer for each in wrappers]
        self._handles = [
            optimizer.register_step_pre_hook(self._look_at_gradients)
            for optimizer in self._optimizers
        ]

    def after_train(self, runner: Runner) -> None:
        """Leave the optimizer as it was."""
        for handle in self._handles:
            handle.remove()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Keep what is needed to run the batch once more, or to undo it."""
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
        """End the run, or leave out the step, if its numbers were bad.

        Raises:
            FloatingPointError: If they were, and no more steps may be left out.
        """
        outputs = outputs or {}
        is_loss_bad = any(not torch.isfinite(loss).all() for loss in floats(outputs.get('loss')))
        # All of them run their batches again, or none: a network may have collective operations.
        if not self._agreement.largest(int(is_loss_bad or bool(self._bad_gradients))):
            self._skipped = 0
            if self.every_n_train_iters(runner, self.interval):
                self._check_parameters(f'after iteration {runner.iter + 1}')
            return
        self._skipped += 1
        diagnosis = self._diagnose(runner, data_batch, outputs)
        message = self._write(runner, diagnosis)
        if self._skipped > self.max_skips:
            raise FloatingPointError(message)
        for optimizer in self._optimizers:  # what was accumulated with a bad batch is bad
            optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in self._buffers:
                buffer.copy_(before)
        runner.logger.warning(f'{message} ({self._skipped} in a row, at most {self.max_skips})')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep numbers that are not finite out of checkpoints.

        Raises:
            FloatingPointError: If the model has some.
        """
        parameters = dict(unwrapped(runner.model).named_parameters())
        weights = {name: t for name, t in checkpoint['state_dict'].items() if name in parameters}
        _require_finite(weights, 'no checkpoint is written')

    def _check_parameters(self, when: str) -> None:
        with torch.no_grad():
            _require_finite(dict(self._model.named_parameters()), when)

    @torch.no_grad()
    def _look_at_gradients(self, optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        """Called by the optimizer before its step, which has nothing to do without gradients."""
        if getattr(optimizer, 'found_inf', None) is not None and optimizer.found_inf.any():
            return  # a fused optimizer is called even where the loss scaler leaves out the step
        gradients = {
            self._names.get(parameter, 'a parameter of no module'): parameter.grad
            for group in optimizer.param_groups
            for parameter in group['params']
            if parameter.grad is not None
        }
        bad = not_finite(gradients)
        if bad:
            self._bad_gradients += bad
            optimizer.zero_grad(set_to_none=True)

    def _diagnose(self, runner: Runner, data_batch: Mapping | None, outputs: Mapping) -> dict:
        now = random_states()
        set_random_states(self._random_states)
        try:
            first = first_bad_module(self._model, data_batch, runner.optim_wrapper)
        finally:
            set_random_states(now)
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        return dict(
            iteration=runner.iter + 1,
            losses={
                name: float(loss.mean())
                for name, loss in outputs.items()
                if isinstance(loss, Tensor)
            },
            first_bad_module=first,
            bad_gradients=self._bad_gradients[:_LISTED],
            number_of_bad_gradients=len(self._bad_gradients),
            images=image_files(data_batch),
            gaussians={n: p.tolist() for n, p in gaussian_parameters(self._model).items()},
            loss_scaler=scaler.state_dict() if scaler is not None else None,
        )

    def _write(self, runner: Runner, diagnosis: Mapping) -> str:
        """Write a diagnosis to its file; returns what it says in a sentence."""
        folder = Path(runner.work_dir, 'numerics')
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f'iter_{diagnosis["iteration"]}_rank_{runner.rank}.json'
        path.write_text(json.dumps(_plain(diagnosis), indent=2) + '\n')
        first = diagnosis['first_bad_module']
        where = (
            f'the first output that is not finite is that of {first["name"]} ({first["type"]})'
            if first
            else f'outputs are finite, gradients are not, of {diagnosis["bad_gradients"][:3]} first'
        )
        images = ', '.join(diagnosis['images'][:4]) or 'files unknown'
        return (
            f'iteration {diagnosis["iteration"]}: loss {diagnosis["losses"].get("loss")}; {where}; '
            f'images: {images}; all of it in {path}'
        )


def _require_finite(tensors: Mapping[str, Tensor], when: str) -> None:
    bad = not_finite(tensors)
    if bad:
        raise FloatingPointError(
            f'{len(bad)} of {len(tensors)} parameters are not finite, {when}: '
            f'{", ".join(bad[:_LISTED])}'
        )


def _plain(value: object) -> object:
    """Values that JSON has: it has no name for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
