"""Decode COCO's RLE counts in Python, as pycocotools' C code does not validate its input."""

from collections.abc import Iterator

from .findings import shown
from .json_values import is_count

_FIRST = 48  # character code of the value 0
_VALUE, _SIGN, _MORE = 0x1F, 0x10, 0x20  # bits of a character
_LONGEST = 7  # characters of a number: 35 bits, more than the 32 of a pixel count


def run_lengths(counts: object) -> list[int]:
    """Decode the runs of a mask: alternating background and foreground, column by column.

    Args:
        counts: A list, or COCO's compressed string.

    Raises:
        ValueError: If ``counts`` is neither, or a run is not a number of pixels.
    """
    if isinstance(counts, str):
        runs = _decompressed(counts)
    elif isinstance(counts, list):
        runs = counts
    else:
        raise ValueError(f'counts is {shown(counts)}, expected a list or a string')
    for run in runs:
        if not is_count(run):
            raise ValueError(f'counts has a run of {shown(run)}, expected integers of at least 0')
    return [int(run) for run in runs]


def _decompressed(text: str) -> list[int]:
    """Decode a compressed string: from the fourth run on, it stores differences to runs[-2]."""
    runs: list[int] = []
    for number in _numbers(text):
        runs.append(number + runs[-2] if len(runs) > 2 else number)
    return runs


def _numbers(text: str) -> Iterator[int]:
    """Decode signed numbers of five bits per character, the lowest first (LEB128)."""
    number = length = 0
    for position, character in enumerate(text):
        bits = ord(character) - _FIRST
        if not 0 <= bits <= _MORE | _VALUE:
            raise ValueError(
                f'counts has the invalid character {shown(character)} at position {position}'
            )
        number |= (bits & _VALUE) << 5 * length
        length += 1
        if length > _LONGEST:
            raise ValueError(
                f'counts has a number of more than {_LONGEST} characters at position {position}'
            )
        if not bits & _MORE:
            yield number - (1 << 5 * length) if bits & _SIGN else number
            number = length = 0
    if length:
        raise ValueError('counts ends within a number')
