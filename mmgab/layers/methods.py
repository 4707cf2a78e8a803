"""The methods that this package adds to a Swin's and a plain ViT's blocks: one table.

Whatever must know of methods reads it: loading (what a file may lack), folding, summaries, layouts
of checkpoints, the lists of parameters without weight decay, the doctor, the study. A new method is
one file with its module and one row here; a package of somebody else's adds its row with
``METHODS.append(Method(...))`` (docs/adding_a_method.md).

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
    """How one of a method's tensors is told.

    Attributes:
        tensor: Its name.
        meaning: From its values to those that the method's formula has.
        digits: Behind the decimal point.
    """

    tensor: str
    meaning: Callable[[Tensor], Tensor]
    digits: int = 3


@dataclass(frozen=True, eq=False)
class Method:
    """One method.

    Attributes:
        name: In messages.
        argument: Of the backbones, that switches it on.
        path: The module that has its tensors in a block of a Swin. In a plain ViT, whose attention
            has no ``w_msa``, the rest of the path is the same.
        tensors: Their names in that module.
        learned: By the symbol that stands for it, what the method learns.
        is_in_every_block: Whether a network with the method has it in each of its blocks.
        is_decayed: Whether its parameters have weight decay.
        table: What it adds to the relative-position table, ``(T, heads)`` or ``(T, 1)`` in logits,
            from its tensors by name and the offsets ``(T, 2)``; so it can be folded. None where it
            is no table.
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
        """Name of the module that has the tensors."""
        return self.path.rpartition('.')[2]

    @cached_property
    def pattern(self) -> str:
        """Regular expression of their complete names, in a Swin or a plain ViT, in any model."""
        return rf'{self._module_pattern.pattern}({"|".join(map(re.escape, self.tensors))})'

    def is_in(self, names: Iterable[str]) -> bool:
        """Whether any of these is the name of a tensor in the method's module."""
        return any(map(self.has, names))

    def has(self, name: str) -> bool:
        """Whether a tensor of that name is in the method's module."""
        return self._module_pattern.match(name) is not None

    def in_block(self, block: str) -> tuple[str, ...]:
        """Complete names in a Swin's block, whose own name is given."""
        return tuple(f'{block}.{self.path}.{name}' for name in self.tensors)

    def beside(self, tensor: str) -> tuple[str, ...]:
        """Complete names beside a tensor of the module that the method is in."""
        path = tensor.rpartition('.')[0]
        return tuple(f'{path}.{self.module}.{name}' for name in self.tensors)

    def found_beside(self, tensor: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The method's tensors beside one, in single precision, by their own names.

        Empty where they are not all there.
        """
        names = dict(zip(self.tensors, self.beside(tensor), strict=True))
        if not all(name in tensors for name in names.values()):
            return {}
        return {own: tensors[name].float() for own, name in names.items()}

    @cached_property
    def _module_pattern(self) -> re.Pattern[str]:
        path = re.escape(self.path).replace(r'w_msa\.', r'(w_msa\.)?')
        return re.compile(rf'(.*\.)?blocks\.\d+\.{path}\.')


def has_method(names: Iterable[str]) -> bool:
    """Whether any of these tensors is a method's."""
    names = list(names)
    return any(method.is_in(names) for method in METHODS)


def methods_to_fold(names: Iterable[str]) -> list[Method]:
    """Methods whose tensors are among these, and are a table that can be folded."""
    names = list(names)
    return [method for method in METHODS if method.table is not None and method.is_in(names)]


def _gaussian(tensors: Mapping[str, Tensor], offsets: Tensor) -> Tensor:
    return gaussian_table(offsets, tensors['amplitude'], tensors['sigma'])


def _as_it_is(values: Tensor) -> Tensor:
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
    {'scale': Learned('scale', _as_it_is), 'lambda': Learned('gate', _as_it_is)},
)
METHODS = [GAUSSIAN, GATED_ATTENTION, CONTEXT_BROADCAST]
