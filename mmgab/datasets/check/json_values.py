"""Check values of a JSON file: numbers, ids, sizes and strings."""

import sys
from typing import TypeGuard

_LONGEST_SIDE = 2**31 - 1  # pixels; image libraries use 32-bit sizes


def is_number(value: object) -> TypeGuard[float]:
    """Return True if a value is a finite number that fits into a float, and not a bool."""
    if type(value) is not int and type(value) is not float:
        return False
    return abs(value) <= sys.float_info.max


def are_numbers(values: object) -> TypeGuard[list[float]]:
    """Return True if a value is a list of numbers."""
    return isinstance(values, list) and all(map(is_number, values))


def is_count(value: object) -> TypeGuard[float]:
    """Return True if a value is a number without a fraction, 0 or more."""
    return is_number(value) and value >= 0 and value == int(value)


def is_side(value: object) -> TypeGuard[float]:
    """Return True if a value can be an image's width or height in pixels."""
    return is_count(value) and 0 < value <= _LONGEST_SIDE


def is_id(value: object) -> TypeGuard[float | str]:
    """Return True if a value can be an id of an image, annotation or category."""
    return is_number(value) or isinstance(value, str)


def is_text(value: object) -> TypeGuard[str]:
    """Return True if a value is a string."""
    return isinstance(value, str)
