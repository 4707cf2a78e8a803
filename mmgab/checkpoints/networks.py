"""Networks that a file can be loaded into, and the tensors that each selects.

A new network is one row here: a test of its names, and a function that selects its tensors.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .fc_norm_selection import is_fc_norm, select_fc_norm
from .selection import Request, Selection
from .swin_selection import is_swin, select_swin
from .vit_selection import is_vit, select_vit
from .whole_selection import select_whole


@dataclass(frozen=True)
class Network:
    """A kind of network.

    Attributes:
        has_names: Whether these are the names of such a network's tensors.
        select: Takes such a network out of a file.
    """

    has_names: Callable[[list[str]], bool]
    select: Callable[[Request], Selection]


# Parts of a model: each takes its part of a file.
_PARTS = (
    Network(is_swin, select_swin),
    Network(is_vit, select_vit),
    Network(is_fc_norm, select_fc_norm),
)
# Any other model takes the complete file.
WHOLE_MODEL = Network(lambda names: True, select_whole)


def network_of(names: Iterable[str]) -> Network:
    """Return the kind of network that has tensors with these names."""
    names = list(names)
    return next((part for part in _PARTS if part.has_names(names)), WHOLE_MODEL)
