"""Tensors of a file that a user leaves out, so that the model's keep their values."""

import re
from collections.abc import Iterable, Sequence

from .excuses import NOTHING


def left_out(
    names: Iterable[str], leave_out: str | Sequence[str] | None, source: str
) -> tuple[list[str], str]:
    """Choose the names that are left out.

    Args:
        names: Names of a file's tensors.
        leave_out: Regular expressions of complete names, or one, or None.
        source: Path or URL, for the error.

    Returns:
        The names, and one regular expression of all that is left out.

    Raises:
        TypeError: If ``leave_out`` holds something else than strings.
        ValueError: If one is no regular expression, or fits none of the names.
    """
    names = list(names)
    parts = [leave_out] if isinstance(leave_out, str) else list(leave_out or ())
    for part in parts:
        if not any(_compiled(part).fullmatch(name) for name in names):
            raise ValueError(f'leave_out={part!r} fits the name of no tensor of {source}')
    pattern = '|'.join(f'(?:{part})' for part in parts) or NOTHING
    return [name for name in names if re.fullmatch(pattern, name)], pattern


def _compiled(part: str) -> re.Pattern:
    if not isinstance(part, str):
        raise TypeError(f'leave_out must be a string or strings, got {part!r}')
    try:
        return re.compile(part)
    except re.error as error:
        raise ValueError(f'leave_out={part!r} is no regular expression: {error}') from error
