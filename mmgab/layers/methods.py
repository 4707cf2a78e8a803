"""Registry of the methods that mmgab adds to the blocks of Swin and plain ViT backbones.

It is read by checkpoint loading (which keys may be missing), folding, summaries, checkpoint
layouts, weight-decay lists, the doctor and the study. A new method is one file with its module and
one row here. Another package adds its row with ``METHODS.append(Method(...))``
(docs/adding_a_method.md).

Torch alone is imported: checkpoints are read without OpenMMLab.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mmgab.functional import gaussian_table


@dataclass(frozen=True)
class Learned:
    """Learned quantity of a method, for reports.

    Attributes:
        tensor: Name of its tensor.
        meaning: Function from the tensor's values to those in the method's formula.
        digits: Decimal places in reports.
    """

    tensor: str
    meaning: Callable[[Tensor], Tensor]
    digits: int = 3


@dataclass(frozen=True, eq=False)
class Method:
    """Description of one method: its backbone argument, its tensors and its table.

    Attributes:
        name: Name in messages.
        argument: Backbone argument that enables it.
        path: Path of its module in a Swin block. In a plain ViT, whose attention has no ``w_msa``,
            the rest of the path is the same.
        tensors: Names of its tensors in that module.
        learned: Learned quantities by the symbol used in reports.
        is_in_every_block: True if a network with the method has it in every block.
        is_decayed: True if weight decay applies to its parameters.
        table: Function from its tensors by name and the offsets ``(T, 2)`` to the term that it
            adds to the relative-position table, ``(T, heads)`` or ``(T, 1)`` in logits. Such a
            method can be folded. None for methods that are not a table.
    """

    name: str
    argument: str
    path: str
    tensors: tuple[str, ...]
    learned: Mapping[str, Learned] = field(default_factory=dict)
    is_in_every_block: bool = False
    is_decayed: bool = False
    table: Callable[[Mapping[str, Tensor], Tensor], Tensor] | None = None

    @property
    def module(self) -> str:
        """Name of the module that contains the tensors."""
        return self.path.rpartition('.')[2]

    @cached_property
    def pattern(self) -> str:
        """Regular expression of the tensors' full names in a Swin or plain ViT of any model."""
        return rf'{self._module_pattern.pattern}({"|".join(map(re.escape, self.tensors))})'

    def is_in(self, names: Iterable[str]) -> bool:
        """Return True if any of these tensor names is in the method's module."""
        return any(map(self.has, names))

    def has(self, name: str) -> bool:
        """Return True if a tensor name is in the method's module."""
        return self._module_pattern.match(name) is not None

    def in_block(self, block: str) -> tuple[str, ...]:
        """Return the tensors' full names in the Swin block of the given name."""
        return tuple(f'{block}.{self.path}.{name}' for name in self.tensors)

    def sibling_names(self, tensor: str) -> tuple[str, ...]:
        """Return the tensors' full names next to a tensor of the method's parent module."""
        path = tensor.rpartition('.')[0]
        return tuple(f'{path}.{self.module}.{name}' for name in self.tensors)

    def sibling_tensors(self, tensor: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the method's tensors next to a tensor, in float32, by their short names.

        The result is empty unless all of them are present.
        """
        names = dict(zip(self.tensors, self.sibling_names(tensor), strict=True))
        if not all(name in tensors for name in names.values()):
            return {}
        return {own: tensors[name].float() for own, name in names.items()}

    @cached_property
    def _module_pattern(self) -> re.Pattern[str]:
        path = re.escape(self.path).replace(r'w_msa\.', r'(w_msa\.)?')
        return re.compile(rf'(.*\.)?blocks\.\d+\.{path}\.')


def has_method(names: Iterable[str]) -> bool:
    """Return True if any of these tensor names belongs to a method."""
    names = list(names)
    return any(method.is_in(names) for method in METHODS)


def methods_to_fold(names: Iterable[str]) -> list[Method]:
    """Return the methods with tensors among these names that can be folded into the table."""
    names = list(names)
    return [method for method in METHODS if method.table is not None and method.is_in(names)]


def _gaussian(tensors: Mapping[str, Tensor], offsets: Tensor) -> Tensor:
    return gaussian_table(offsets, tensors['amplitude'], tensors['sigma'])


def _identity(values: Tensor) -> Tensor:
    return values


GAUSSIAN = Method(
    'Gaussian',
    'gab_cfg',
    'attn.w_msa.gaussian',
    ('amplitude', 'sigma'),
    {'A': Learned('amplitude', torch.square), 'sigma': Learned('sigma', torch.abs, digits=2)},
    is_in_every_block=True,
    table=_gaussian,
)
GATED_ATTENTION = Method(
    'gated positional self-attention',
    'gpsa_cfg',
    'attn.w_msa.local',
    ('position', 'gate'),
    {'gate': Learned('gate', torch.sigmoid)},
)
CONTEXT_BROADCAST = Method(
    'Context Broadcasting',
    'cb_cfg',
    'broadcast',
    ('share', 'scale', 'gate'),
    {'scale': Learned('scale', _identity), 'lambda': Learned('gate', _identity)},
)
METHODS = [GAUSSIAN, GATED_ATTENTION, CONTEXT_BROADCAST]
