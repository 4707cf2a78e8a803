"""A complete detector, segmentor or classifier."""

import re
from collections.abc import Container, Iterable, Mapping

from torch import Tensor

from .absences import absent_methods
from .contents import Contents, unwrap
from .conversion import find_swins
from .excuses import NOTHING, Excuses
from .selection import Request, Selection
from .swin_selection import CLASSIFIER, DERIVED, OUTPUT_NORM, UNUSED, swin_absences
from .wrappers import named_as


def select_whole(request: Request) -> Selection:
    """Take all tensors of a file.

    Its Swin may be in another layout than the model's, and under another name in the model. With
    ``strict`` every tensor must be there, as for a test or a resumed run. Without, as for a start
    of training, the backbone must fit (it may lack the tensors of methods); the rest is loaded as
    far as it fits.

    Raises:
        ValueError: If a prefix is given and the model has no Swin, or several.
    """
    tensors, metadata = unwrap(request.checkpoint, request.source)
    theirs, ours = find_swins(tensors), find_swins(request.own)
    layout = ' and '.join(dict.fromkeys(layout.name for layout in theirs.values())) or 'unknown'
    absences = absent_methods(tensors)
    if theirs and len(ours) == 1:
        place = next(iter(ours))
        prefix = request.prefix if request.prefix is not None or place not in theirs else place
        contents = Contents.of(request.checkpoint, request.source, prefix)
        layout = contents.layout.name
        absences = swin_absences(contents, place)
        metadata = {f'{place}{path}': note for path, note in contents.metadata.items()}
        tensors = _in_place(contents, tensors, place, request.own)
    elif request.prefix is not None:
        raise ValueError(
            f'prefix={request.prefix!r} names one of several Swins in {request.source}; it is for '
            f'a model with one Swin, and this one has {len(ours)}'
        )
    strict = Excuses(unexpected=DERIVED)
    names = named_as(tensors, request.own)
    tensors = {names[name]: tensor for name, tensor in tensors.items()}
    excuses = strict if request.strict else _excuses_of_a_start(absences, ours)
    return Selection(tensors, metadata, excuses, layout, [])


def _in_place(
    contents: Contents, tensors: Mapping[str, Tensor], place: str, own: Container[str]
) -> dict[str, Tensor]:
    """A file's tensors with the Swin where the model has it."""
    apart = {name: tensors[name] for name in contents.apart}
    swin = {_placed(name, place, own): tensor for name, tensor in contents.swin.items()}
    return {**swin, **contents.others, **apart}


def _placed(name: str, place: str, own: Container[str]) -> str:
    """Name of a Swin's tensor in the model; a classifier's head is beside its backbone."""
    return name if re.fullmatch(CLASSIFIER, name) and name in own else place + name


def _excuses_of_a_start(absences: str, places: Iterable[str]) -> Excuses:
    """All but the backbone may be missing, too much or of another shape."""
    backbones = '|'.join(map(re.escape, places)) or r'(.*\.)?backbone\.'
    outside = rf'(?!{backbones}).*'
    inside = f'(?:{OUTPUT_NORM}|{UNUSED})'
    unused = '|'.join(f'{re.escape(place)}{inside}' for place in places) or NOTHING
    return Excuses(
        missing=f'{absences}|{outside}',
        unexpected=f'{DERIVED}|{outside}|{unused}|.*{CLASSIFIER}',
        reshaped=outside,
    )
