"""Values of a JSON file, which may be anything: whether they are numbers, ids or sizes."""

import sys
from typing import TypeGuard

_LONGEST_SIDE = 2**31 - 1  # pixels; image libraries count them in 32 bits


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a number that a float can hold: not NaN, not infinite, no bool."""
    if type(value) is not int and type(value) is not float:
        return False
    return abs(value) <= sys.float_info.max


def are_numbers(values: object) -> TypeGuard[list[float]]:
    """Tell whether a value is a list of numbers."""
    return isinstance(values, list) and all(map(is_number, values))


def is_count(value: object) -> TypeGuard[float]:
    """Tell whether a value is a number without a fraction, 0 or more."""
    return is_number(value) and value >= 0 and value == int(value)


def is_side(value: object) -> TypeGuard[float]:
    """Tell whether a value can be an image's width or height in pixels."""
    return is_count(value) and 0 < value <= _LONGEST_SIDE


def is_id(value: object) -> TypeGuard[float | str]:
    """Tell whether a value can name an image, an annotation or a category: a number or a text."""
    return is_number(value) or isinstance(value, str)


def is_text(value: object) -> TypeGuard[str]:
    """Tell whether a value is a text."""
    return isinstance(value, str)
