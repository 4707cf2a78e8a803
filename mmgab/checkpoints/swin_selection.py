"""The Swin of a file, for a backbone."""

import re

from .allowed_differences import EVERYTHING, AllowedDifferences
from .contents import Contents
from .conversion import find_swins, last_stage
from .layouts import HEAD, PRETRAINING
from .missing_keys import missing_method_keys
from .selection import Request, Selection

DERIVED = r'.*\.(attn_mask|relative_position_index|relative_coords_table)'
CLASSIFIER = rf'{re.escape(HEAD)}\.(weight|bias)'
OUTPUT_NORM = r'norm\d\.(weight|bias)'
UNUSED = f'{CLASSIFIER}|{PRETRAINING.pattern}'


def is_swin(names: list[str]) -> bool:
    """Return True if the names are those of a Swin without a prefix."""
    return '' in find_swins(names)


def select_swin(request: Request) -> Selection:
    """Select the Swin of a file.

    The file may lack all tensors of a method and, if it comes from classification, all output norms
    but the last (all of them, if it is timm's ``features_only``). It may have what a backbone has
    no place for: a classifier's head, what only pretraining needs (mask tokens, decoders,
    projection heads), output norms of stages that are not returned, derived tensors.

    Raises:
        ValueError: If there is no Swin in the file, or several and no prefix given.
    """
    contents = Contents.of(request.checkpoint, request.source, request.prefix)
    allowed = AllowedDifferences(missing_swin_keys(contents), f'{DERIVED}|{OUTPUT_NORM}|{UNUSED}')
    return Selection(
        contents.swin,
        contents.metadata,
        allowed if request.strict else EVERYTHING,
        contents.layout.name,
        [*contents.others, *contents.apart],
    )


def missing_swin_keys(contents: Contents, place: str = '') -> str:
    """Return the pattern of Swin keys that may be missing in a file.

    These are the tensors of methods and the norms of stages: a classifier has one norm, after the
    last stage.

    Args:
        contents: A Swin and what is around it.
        place: The Swin's prefix in the model.
    """
    last = last_stage(contents.swin)
    missing = missing_method_keys(contents.swin)
    if last > 0 and not contents.has_stage_norms():
        missing += rf'|{re.escape(place)}norm[0-{last - 1}]\.(weight|bias)'
    if not contents.layout.has_norms:
        missing += rf'|{re.escape(place)}{OUTPUT_NORM}'
    return missing
