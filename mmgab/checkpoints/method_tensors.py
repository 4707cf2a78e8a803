"""Tensors that this package's methods add to a block, by name.

The one place in this package that names them. Loading, folding, summaries and layouts read it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from .excuses import NOTHING


@dataclass(frozen=True)
class MethodTensors:
    """The tensors of one method.

    Attributes:
        path: The module that has them in a block of a Swin. In a plain ViT, whose attention has no
            ``w_msa``, the rest of the path is the same.
        names: Their names in that module.
        is_in_every_block: Whether a network with the method has it in each of its blocks.
    """

    path: str
    names: tuple[str, ...]
    is_in_every_block: bool = False

    @property
    def module(self) -> str:
        """Name of the module that has them."""
        return self.path.rpartition('.')[2]

    @cached_property
    def pattern(self) -> str:
        """Regular expression of their complete names, in a Swin or a plain ViT, in any model."""
        return rf'{self._module_pattern.pattern}({"|".join(map(re.escape, self.names))})'

    def is_in(self, names: Iterable[str]) -> bool:
        """Whether any of these is the name of a tensor in the method's module."""
        return any(map(self.has, names))

    def has(self, name: str) -> bool:
        """Whether a tensor of that name is in the method's module."""
        return self._module_pattern.match(name) is not None

    def in_block(self, block: str) -> tuple[str, ...]:
        """Complete names in a Swin's block, whose own name is given."""
        return tuple(f'{block}.{self.path}.{name}' for name in self.names)

    def beside(self, tensor: str) -> tuple[str, ...]:
        """Complete names beside a tensor of the module that the method is in."""
        path = tensor.rpartition('.')[0]
        return tuple(f'{path}.{self.module}.{name}' for name in self.names)

    @cached_property
    def _module_pattern(self) -> re.Pattern[str]:
        path = re.escape(self.path).replace(r'w_msa\.', r'(w_msa\.)?')
        return re.compile(rf'(.*\.)?blocks\.\d+\.{path}\.')


GAUSSIAN = MethodTensors('attn.w_msa.gaussian', ('amplitude', 'sigma'), is_in_every_block=True)
GATED_ATTENTION = MethodTensors('attn.w_msa.local', ('position', 'gate'))
CONTEXT_BROADCAST = MethodTensors('broadcast', ('share', 'scale', 'gate'))
METHODS = (GAUSSIAN, GATED_ATTENTION, CONTEXT_BROADCAST)


def absent_methods(names: Iterable[str]) -> str:
    """Pattern of the tensors that a file need not have, as it has none of their method."""
    names = list(names)
    return '|'.join(m.pattern for m in METHODS if not m.is_in(names)) or NOTHING


def has_method(names: Iterable[str]) -> bool:
    """Whether any of these tensors is a method's."""
    names = list(names)
    return any(method.is_in(names) for method in METHODS)
