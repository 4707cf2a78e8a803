"""COCO's run lengths, read in Python: pycocotools' C code trusts what it is given."""

from collections.abc import Iterator

from .findings import shown
from .json_values import is_count

_FIRST = 48  # character of the value 0
_VALUE, _SIGN, _MORE = 0x1F, 0x10, 0x20  # bits of a character
_LONGEST = 7  # characters of a number: 35 bits, where pixels are counted in 32


def run_lengths(counts: object) -> list[int]:
    """Read the runs of a mask, of pixels outside and inside it by turns, column by column.

    Args:
        counts: A list, or COCO's compressed text.

    Raises:
        ValueError: If it is neither, or has a run that is no number of pixels.
    """
    if isinstance(counts, str):
        runs = _decompressed(counts)
    elif isinstance(counts, list):
        runs = counts
    else:
        raise ValueError(f'counts {shown(counts)} are neither a list nor a text')
    for run in runs:
        if not is_count(run):
            raise ValueError(f'run of {shown(run)} pixels')
    return [int(run) for run in runs]


def _decompressed(text: str) -> list[int]:
    """From the fourth run on, the text has what it is longer than the last but one."""
    runs: list[int] = []
    for number in _numbers(text):
        runs.append(number + runs[-2] if len(runs) > 2 else number)
    return runs


def _numbers(text: str) -> Iterator[int]:
    """Read signed numbers of five bits a character, the lowest first (LEB128)."""
    number = length = 0
    for place, character in enumerate(text):
        bits = ord(character) - _FIRST
        if not 0 <= bits <= _MORE | _VALUE:
            raise ValueError(f'character {shown(character)} at {place}, which no code has')
        number |= (bits & _VALUE) << 5 * length
        length += 1
        if length > _LONGEST:
            raise ValueError(f'a number of more than {_LONGEST} characters at {place}')
        if not bits & _MORE:
            yield number - (1 << 5 * length) if bits & _SIGN else number
            number = length = 0
    if length:
        raise ValueError('the text ends within a number')
