"""Tensor names with stage and block numbers in them, read and written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

_FIELD = re.compile(r'\{(\d*)([sb])(?:\+(\d+))?\}')


@dataclass(frozen=True)
class Fields:
    """The fields of a tensor's name.

    Attributes:
        numbers: By variable, ``'s'`` or ``'b'``.
        parameter: The suffix after the module's name: ``'.weight'``, ``'.bias'`` or nothing.
    """

    numbers: Mapping[str, int]
    parameter: str

    def __getitem__(self, variable: str) -> int:
        return self.numbers[variable]


class NameTemplate:
    """A module's name such as ``features.{2s+1}.{b}.norm1``, for its ``weight`` and ``bias`` too.

    Args:
        text: The name, with fields ``{s}`` and ``{b}``, which may be scaled and shifted.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._fields = [
            (variable, int(scale or 1), int(shift or 0))
            for scale, variable, shift in _FIELD.findall(text)
        ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NameTemplate) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    @cached_property
    def expression(self) -> str:
        """Regular expression of the module's name, one group a field."""
        literals = [re.escape(text) for text in _FIELD.sub('\0', self.text).split('\0')]
        return r'(0|[1-9][0-9]{0,3})'.join(literals)

    @cached_property
    def _pattern(self) -> re.Pattern:
        return re.compile(self.expression + r'(|\.weight|\.bias)')

    def read(self, name: str) -> Fields | None:
        """Read the fields of a tensor's name; None if it does not fit."""
        match = self._pattern.fullmatch(name)
        if match is None:
            return None
        numbers: dict[str, int] = {}
        for (variable, scale, shift), number in zip(self._fields, match.groups(), strict=False):
            numbers[variable], rest = divmod(int(number) - shift, scale)
            if rest or numbers[variable] < 0:
                return None
        return Fields(numbers, match.groups()[-1])

    def write(self, fields: Fields) -> str:
        """Name of the tensor with these fields."""
        numbers = [scale * fields[variable] + shift for variable, scale, shift in self._fields]
        name = _FIELD.sub(lambda _: str(numbers.pop(0)), self.text)
        return name + fields.parameter
