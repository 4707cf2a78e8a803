"""Locate the first non-finite values by running the batch again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from .finite_numbers import named_floats, too_large
from .run_state import wrappers_in

_GAUSSIAN = ('.gaussian.amplitude', '.gaussian.sigma')


def first_bad_module(
    model: BaseModel, data_batch: Mapping, optim_wrapper: OptimWrapper
) -> dict | None:
    """Run a training batch through a model and find where numbers stop being finite.

    Weights and buffers are left unchanged.

    Args:
        model: A detector or segmentor, not wrapped.
        data_batch: As the loader gave it.
        optim_wrapper: Says in which precision.

    Returns:
        ``name``, ``type``, whether the module's ``inputs_finite``, the largest absolute value of
        them and the number of ``outputs_before``; of the first module to end with an output that is
        not finite. ``None`` where all are: it began in the backward pass.
    """
    found: dict = {}
    outputs = count()
    names = {module: name or type(model).__name__ for name, module in model.named_modules()}

    def look(module: nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        before = next(outputs)
        if not found and not is_finite(output):
            tensors = [tensor for _, tensor in named_floats((args, kwargs)) if tensor.numel()]
            found.update(
                name=names[module],
                type=type(module).__name__,
                inputs_finite=is_finite((args, kwargs)),
                largest_input=max((float(t.abs().max()) for t in tensors), default=None),
                outputs_before=before,
            )

    handles = [m.register_forward_hook(look, with_kwargs=True) for m in model.modules()]
    try:
        with _kept_buffers(model), torch.no_grad():
            _losses(model, data_batch, optim_wrapper)
    finally:
        for handle in handles:
            handle.remove()
    return found or None


def bad_gradients(model: BaseModel, data_batch: Mapping, optim_wrapper: OptimWrapper) -> list[str]:
    """Run a training batch forward and backward, and name the gradients no optimizer may have.

    They are those of this process's batch alone, before clipping: distributed training has the
    processes' average. Weights and buffers are left unchanged; there are no gradients
    afterwards.

    Args:
        model: A detector or segmentor, not wrapped.
        data_batch: As the loader gave it.
        optim_wrapper: Says in which precision.

    Returns:
        Names of parameters.
    """
    model.zero_grad(set_to_none=True)
    with _kept_buffers(model):
        loss, _ = model.parse_losses(_losses(model, data_batch, optim_wrapper))
        loss.backward()
    gradients = [(n, p.grad) for n, p in model.named_parameters() if p.grad is not None]
    bad = too_large(gradients)
    model.zero_grad(set_to_none=True)
    return bad


def gaussian_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Amplitudes and sigmas of every layer, by name."""
    return {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if name.endswith(_GAUSSIAN)
    }


def image_files(data_batch: Mapping) -> list[str]:
    """Files of a batch's images, where its data samples know them."""
    samples = data_batch.get('data_samples') if isinstance(data_batch, Mapping) else None
    return [str(getattr(sample, 'img_path', 'unknown')) for sample in samples or []]


def is_finite(values: object) -> bool:
    """Return whether all tensors in any nest of containers have finite numbers only."""
    return all(bool(torch.isfinite(tensor).all()) for _, tensor in named_floats(values))


def _losses(model: BaseModel, data_batch: Mapping, optim_wrapper: OptimWrapper) -> dict:
    """Losses of a training batch, in the precision of the first optimizer."""
    with wrappers_in(optim_wrapper)[0].optim_context(model):
        return model._run_forward(model.data_preprocessor(data_batch, True), mode='loss')


@contextmanager
def _kept_buffers(model: nn.Module) -> Iterator[None]:
    """Restore a model's buffers afterwards."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
