"""Adapt a file's tensors to the modules of a model, once per load.

Torch's ``load_state_dict`` has each of them adapt its tensors and then copies these. A load that
rejects a file before it changes anything needs the adapted tensors earlier, to compare them with
the model: :func:`adapt` makes them. :func:`without_conversion` has ``load_state_dict`` copy them.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Protocol, TypeGuard

from torch import Tensor, nn

from .wrappers import model_paths_without_wrappers


class AdaptiveModule(Protocol):
    """Meets ``mmgab.layers.adaptive.AdaptiveModule``, whose documentation applies."""

    skips_conversion: bool

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Bring this module's tensors to its own form; returns the names of the resized ones."""
        ...


def adapt(
    model: nn.Module, tensors: MutableMapping[str, Tensor], metadata: Mapping[str, Mapping]
) -> list[str]:
    """Have a model's modules bring tensors to their own form.

    Args:
        model: In wrappers or not.
        tensors: A file's, under the model's names without wrappers; changed in place.
        metadata: Metadata of the modules that saved them, by the prefix of their tensors.

    Returns:
        Names of the tensors that were resized.
    """
    resized = []
    prefixes = model_paths_without_wrappers(model)
    for path, module in model.named_modules():
        if is_adaptive(module):
            prefix = prefixes[f'{path}.' if path else '']
            resized += module.adapt_state_dict(tensors, prefix, metadata.get(prefix, {}))
    return resized


@contextmanager
def without_conversion(model: nn.Module) -> Iterator[None]:
    """Have ``load_state_dict`` of a model copy tensors that are adapted while the block runs."""
    modules = list(_adaptive(model.modules()))
    for module in modules:
        module.skips_conversion = True
    try:
        yield
    finally:
        for module in modules:
            module.skips_conversion = False


def is_adaptive(module: object) -> TypeGuard[AdaptiveModule]:
    """Return True if a module adapts tensors itself; a wrapper around such a module does not."""
    return hasattr(type(module), 'adapt_state_dict')


def _adaptive(modules: Iterable[nn.Module]) -> Iterator[AdaptiveModule]:
    return (module for module in modules if is_adaptive(module))
