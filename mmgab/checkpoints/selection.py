"""A file and the part of it that a network takes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from .excuses import Excuses


@dataclass(frozen=True)
class Request:
    """A file, and what is wanted of it.

    Attributes:
        checkpoint: What was read from the file.
        source: Path or URL, for messages.
        own: Names of the model's tensors, without wrappers.
        strict: Whether what does not fit is refused.
        prefix: What stands before the network's names in the file, where that is given.
    """

    checkpoint: Mapping
    source: str
    own: Collection[str]
    strict: bool
    prefix: str | None


@dataclass(frozen=True)
class Selection:
    """The tensors of a file that are for a network.

    Attributes:
        tensors: Under the network's names, not adapted to its modules.
        metadata: What modules noted beside them, by what stands before the tensors' names.
        excuses: Differences that are no reason to refuse them.
        layout: Whose layout the file is in, for the report.
        rest: Names of the file's other tensors.
    """

    tensors: dict[str, Tensor]
    metadata: Mapping[str, Mapping]
    excuses: Excuses
    layout: str
    rest: list[str]
