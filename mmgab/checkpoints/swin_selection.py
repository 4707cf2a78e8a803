"""The Swin of a file, for a backbone."""

import re

from .absences import absent_methods
from .contents import Contents
from .conversion import find_swins, last_stage
from .excuses import EVERYTHING, Excuses
from .layouts import HEAD, PRETRAINING
from .selection import Request, Selection

DERIVED = r'.*\.(attn_mask|relative_position_index|relative_coords_table)'
CLASSIFIER = rf'{re.escape(HEAD)}\.(weight|bias)'
OUTPUT_NORM = r'norm\d\.(weight|bias)'
UNUSED = f'{CLASSIFIER}|{PRETRAINING.pattern}'


def is_swin(names: list[str]) -> bool:
    """Whether names of tensors are a Swin's, with nothing before them."""
    return '' in find_swins(names)


def select_swin(request: Request) -> Selection:
    """Take a Swin out of a file.

    The file may lack all tensors of a method and, if it comes from classification, all output norms
    but the last (all of them, if it is timm's ``features_only``). It may have what a backbone has
    no place for: a classifier's head, what only pretraining needs (mask tokens, decoders,
    projection heads), output norms of stages that are not returned, derived tensors.

    Raises:
        ValueError: If there is no Swin in the file, or several and no telling which.
    """
    contents = Contents.of(request.checkpoint, request.source, request.prefix)
    excuses = Excuses(swin_absences(contents), f'{DERIVED}|{OUTPUT_NORM}|{UNUSED}')
    return Selection(
        contents.swin,
        contents.metadata,
        excuses if request.strict else EVERYTHING,
        contents.layout.name,
        [*contents.others, *contents.apart],
    )


def swin_absences(contents: Contents, place: str = '') -> str:
    """Pattern of what a file need not have, as it has nothing of the kind.

    These are the tensors of methods and the norms of stages: a classifier has one norm, after the
    last stage.

    Args:
        contents: A Swin and what is around it.
        place: What stands before the Swin's names in the model.
    """
    last = last_stage(contents.swin)
    absences = absent_methods(contents.swin)
    if last > 0 and not contents.has_stage_norms():
        absences += rf'|{re.escape(place)}norm[0-{last - 1}]\.(weight|bias)'
    if not contents.layout.has_norms:
        absences += rf'|{re.escape(place)}{OUTPUT_NORM}'
    return absences
