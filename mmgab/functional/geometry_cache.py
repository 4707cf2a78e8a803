"""Geometry that is computed once and shared by all layers.

Plain caches, not buffers: those would be saved, or broadcast by DistributedDataParallel in every
step.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

import torch
from torch import Tensor

from .derivatives import is_transformed

Maker = TypeVar('Maker', bound=Callable)


def remember(maxsize: int) -> Callable[[Maker], Maker]:
    """Cache what a function of hashable arguments makes of tensors, the last ``maxsize`` results.

    They are made outside inference mode, since autograd refuses to save an inference tensor in a
    later training step. What is made while a graph is traced is not kept: it has no values. Nor is
    what a transform of ``torch.func`` sees, which belongs to it.
    """

    def decorate(make: Maker) -> Maker:
        @lru_cache(maxsize)
        def cached(*key: object, **named: object) -> object:
            with torch.inference_mode(False):
                return make(*key, **named)

        @wraps(make)
        def look_up(*key: object, **named: object) -> object:
            return make(*key, **named) if _is_traced() else cached(*key, **named)

        look_up.cache_info, look_up.cache_clear = cached.cache_info, cached.cache_clear
        return look_up

    return decorate


def _is_traced() -> bool:
    is_fake = type(torch.empty(0)) is not Tensor
    is_graph = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return is_graph or is_fake or is_transformed()
