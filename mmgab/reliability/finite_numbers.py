"""Find tensors with non-finite values, with a single check if all are finite."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

NamedTensors = list[tuple[str, Tensor]]

# Optimizers square gradients: the square of a larger number is infinite in float32.
LARGEST_GRADIENT = torch.finfo(torch.float32).max ** 0.5


def not_finite(tensors: NamedTensors) -> list[str]:
    """Name the tensors with values that are not finite.

    Args:
        tensors: Floating-point or complex ones, with their names.
    """
    if torch.isfinite(_norm(tensors)):
        return []
    # The norm itself may be too large for its dtype: each tensor is checked.
    return [name for name, tensor in tensors if not torch.isfinite(tensor).all()]


def too_large(gradients: NamedTensors) -> list[str]:
    """Name the gradients with an element that is not finite or exceeds ``LARGEST_GRADIENT``.

    Args:
        gradients: With the names of their parameters.
    """
    if _norm(gradients) <= LARGEST_GRADIENT:
        return []
    return [
        name
        for name, gradient in gradients
        if gradient.numel() and not gradient.abs().max() <= LARGEST_GRADIENT
    ]


def named_floats(values: object, prefix: str = '') -> Iterator[tuple[str, Tensor]]:
    """Floating-point and complex tensors in any nest of containers, with the path to each.

    Args:
        values: A tensor, or a mapping or sequence of what may hold some.
        prefix: What the paths begin with.

    Yields:
        Paths, and tensors; those of 8 bits, which have no norm, as float32.
    """
    if isinstance(values, Tensor):
        if values.is_floating_point() or values.is_complex():
            yield prefix, values.float() if values.element_size() == 1 else values
    elif isinstance(values, Mapping):
        for key, value in values.items():
            yield from named_floats(value, f'{prefix}.{key}' if prefix else str(key))
    elif isinstance(values, Sequence) and not isinstance(values, str):
        for place, value in enumerate(values):
            yield from named_floats(value, f'{prefix}.{place}' if prefix else str(place))


def _norm(tensors: NamedTensors) -> Tensor:
    """Norm of all elements: not finite where one of them is not, and no less than the largest."""
    return torch.nn.utils.get_total_norm([tensor for _, tensor in tensors if tensor.numel()])
