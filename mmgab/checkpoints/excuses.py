"""Differences between a file and a model that are no reason to refuse the file."""

from dataclasses import dataclass

NOTHING = r'(?!)'  # a pattern that no name fits
ANYTHING = r'.*'


@dataclass(frozen=True)
class Excuses:
    """Patterns of complete tensor names.

    Attributes:
        missing: Tensors of the model that the file need not have.
        unexpected: Tensors of the file that the model need not have.
        reshaped: Tensors that may differ in shape; they are left out.
        resized: Tensors that the model's modules may resize.
    """

    missing: str = NOTHING
    unexpected: str = NOTHING
    reshaped: str = NOTHING
    resized: str = ANYTHING


EVERYTHING = Excuses(ANYTHING, ANYTHING, ANYTHING)
