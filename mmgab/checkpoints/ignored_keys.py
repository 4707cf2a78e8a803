"""Keys of a file that ``leave_out`` ignores, so that the model's tensors keep their values."""

import re
from collections.abc import Iterable, Sequence

from .allowed_differences import NOTHING


def ignored_keys(
    names: Iterable[str], leave_out: str | Sequence[str] | None, source: str
) -> tuple[list[str], str]:
    """Select the keys that ``leave_out`` matches.

    Args:
        names: Names of a file's tensors.
        leave_out: Regular expressions of complete names, or one, or None.
        source: Path or URL, for the error.

    Returns:
        The ignored keys, and one regular expression that matches all of them.

    Raises:
        TypeError: If ``leave_out`` holds a value that is not a string.
        ValueError: If one is not a valid regular expression, or matches no name.
    """
    names = list(names)
    parts = [leave_out] if isinstance(leave_out, str) else list(leave_out or ())
    for part in parts:
        if not any(_compiled(part).fullmatch(name) for name in names):
            raise ValueError(f'leave_out={part!r} matches no tensor of {source}')
    pattern = '|'.join(f'(?:{part})' for part in parts) or NOTHING
    return [name for name in names if re.fullmatch(pattern, name)], pattern


def _compiled(part: str) -> re.Pattern:
    if not isinstance(part, str):
        raise TypeError(f'leave_out must be a string or a list of strings, got {part!r}')
    try:
        return re.compile(part)
    except re.error as error:
        raise ValueError(
            f'leave_out={part!r} is not a valid regular expression: {error}'
        ) from error
