"""Allowed differences between the tensors of a file and those of a model."""

from dataclasses import dataclass

NOTHING = r'(?!)'  # a pattern that matches no name
ANYTHING = r'.*'


@dataclass(frozen=True)
class AllowedDifferences:
    """Patterns of tensor names that may differ; each must match the complete name.

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


EVERYTHING = AllowedDifferences(ANYTHING, ANYTHING, ANYTHING)
