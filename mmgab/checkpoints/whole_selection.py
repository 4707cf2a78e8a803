"""A complete detector, segmentor or classifier."""

import re
from collections.abc import Container, Iterable, Mapping

from torch import Tensor

from .allowed_differences import NOTHING, AllowedDifferences
from .contents import Contents, unwrap
from .conversion import find_swins
from .missing_keys import missing_method_keys
from .selection import Request, Selection
from .swin_selection import CLASSIFIER, DERIVED, OUTPUT_NORM, UNUSED, missing_swin_keys
from .wrappers import named_as


def select_whole(request: Request) -> Selection:
    """Select all tensors of a file.

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
    missing = missing_method_keys(tensors)
    if theirs and len(ours) == 1:
        place = next(iter(ours))
        prefix = request.prefix if request.prefix is not None or place not in theirs else place
        contents = Contents.of(request.checkpoint, request.source, prefix)
        layout = contents.layout.name
        missing = missing_swin_keys(contents, place)
        metadata = {f'{place}{path}': note for path, note in contents.metadata.items()}
        tensors = _in_place(contents, tensors, place, request.own)
    elif request.prefix is not None:
        raise ValueError(
            f'prefix={request.prefix!r} selects one of several Swins in {request.source}; it needs '
            f'a model with exactly one Swin, and this model has {len(ours)}'
        )
    strict = AllowedDifferences(unexpected=DERIVED)
    names = named_as(tensors, request.own)
    tensors = {names[name]: tensor for name, tensor in tensors.items()}
    allowed = strict if request.strict else _allowed_for_finetuning(missing, ours)
    return Selection(tensors, metadata, allowed, layout, [])


def _in_place(
    contents: Contents, tensors: Mapping[str, Tensor], place: str, own: Container[str]
) -> dict[str, Tensor]:
    """Return a file's tensors with the Swin under the model's prefix."""
    apart = {name: tensors[name] for name in contents.apart}
    swin = {_placed(name, place, own): tensor for name, tensor in contents.swin.items()}
    return {**swin, **contents.others, **apart}


def _placed(name: str, place: str, own: Container[str]) -> str:
    """Return a Swin key as named in the model; a classifier's head is outside its backbone."""
    return name if re.fullmatch(CLASSIFIER, name) and name in own else place + name


def _allowed_for_finetuning(missing: str, places: Iterable[str]) -> AllowedDifferences:
    """Allow missing, unexpected and reshaped keys outside the backbone."""
    backbones = '|'.join(map(re.escape, places)) or r'(.*\.)?backbone\.'
    outside = rf'(?!{backbones}).*'
    inside = f'(?:{OUTPUT_NORM}|{UNUSED})'
    unused = '|'.join(f'{re.escape(place)}{inside}' for place in places) or NOTHING
    return AllowedDifferences(
        missing=f'{missing}|{outside}',
        unexpected=f'{DERIVED}|{outside}|{unused}|.*{CLASSIFIER}',
        reshaped=outside,
    )
