"""The tensors of a file that a network selects."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from .allowed_differences import AllowedDifferences


@dataclass(frozen=True)
class Request:
    """A checkpoint and the options for selecting from it.

    Attributes:
        checkpoint: What was read from the file.
        source: Path or URL, for messages.
        own: Names of the model's tensors, without wrappers.
        strict: Whether mismatches raise an error.
        prefix: The network's prefix in the file, if it is given.
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
        metadata: Metadata of modules, by the prefix of their tensors.
        allowed: Differences from the model that are allowed.
        layout: Whose layout the file is in, for the report.
        rest: Names of the file's other tensors.
    """

    tensors: dict[str, Tensor]
    metadata: Mapping[str, Mapping]
    allowed: AllowedDifferences
    layout: str
    rest: list[str]
