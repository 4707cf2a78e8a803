"""Where numbers stopped being finite: the first module, by running the batch once more."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

_GAUSSIAN = ('.gaussian.amplitude', '.gaussian.sigma')


def first_bad_module(
    model: nn.Module, data_batch: Mapping, optim_wrapper: OptimWrapper
) -> dict | None:
    """Run a training batch through a model and find where numbers stop being finite.

    Weights and buffers are left as they were.

    Args:
        model: A detector or segmentor, not wrapped.
        data_batch: As the loader gave it.
        optim_wrapper: Says in which precision.

    Returns:
        ``name``, ``type``, whether the module's ``inputs_finite`` and the largest absolute value
        of them; of the first module to end with an output that is not finite. ``None`` where all
        are: it began in the backward pass.
    """
    found: dict = {}
    names = {module: name or type(model).__name__ for name, module in model.named_modules()}

    def look(module: nn.Module, args: tuple, kwargs: dict, output: object) -> None:
        if not found and not _finite(output):
            tensors = [tensor for tensor in floats((args, kwargs)) if tensor.numel()]
            found.update(
                name=names[module],
                type=type(module).__name__,
                inputs_finite=_finite((args, kwargs)),
                largest_input=max((float(t.abs().max()) for t in tensors), default=None),
            )

    handles = [m.register_forward_hook(look, with_kwargs=True) for m in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        with torch.no_grad(), optim_wrapper.optim_context(model):
            model._run_forward(model.data_preprocessor(data_batch, True), mode='loss')
    finally:
        for handle in handles:
            handle.remove()
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
    return found or None


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of tensors with values that are not finite; one look at all where there are none."""
    if not tensors or torch.isfinite(torch.nn.utils.get_total_norm(tensors.values())):
        return []
    # The norm itself may be too large for its type: each is looked at.
    return [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]


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


def floats(values: object) -> Iterator[Tensor]:
    """Tensors of floating-point numbers in any nest of containers."""
    if isinstance(values, Tensor):
        if values.is_floating_point():
            yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from floats(value)
    elif isinstance(values, Sequence) and not isinstance(values, str):
        for value in values:
            yield from floats(value)


def _finite(values: object) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in floats(values))
