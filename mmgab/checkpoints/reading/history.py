"""Histories of MMEngine's logs, rebuilt only from their numbers."""

from collections.abc import Mapping

import numpy as np

from .pickle_machine import Named, NotPlainDataError

CLASS = 'mmengine.logging.history_buffer.HistoryBuffer'
_STATISTICS = ('min', 'max', 'current', 'mean')
_MAX_LENGTH = 10_000_000


class UnfinishedHistory:
    """A history whose state is not known yet."""


def finish_history(unfinished: UnfinishedHistory, state: Mapping) -> object:
    """Make MMEngine's object of the numbers in the file, with MMEngine's own statistics.

    Returns:
        A ``mmengine.logging.HistoryBuffer``.

    Raises:
        ValueError: If the numbers are not two arrays of one length.
    """
    from mmengine.logging import HistoryBuffer

    values, counts = state['_log_history'], state['_count_history']
    length = state['max_length']
    if type(length) is not int or not 0 < length <= _MAX_LENGTH:
        raise ValueError(f'it has a history of {length!r:.40} values at most')
    for numbers in (values, counts):
        if not isinstance(numbers, np.ndarray) or numbers.ndim != 1 or numbers.dtype.kind in 'SU':
            raise ValueError('it has a history that is not an array of numbers')
    if not len(values) == len(counts) <= length:
        raise ValueError(f'it has a history of {len(values)} values and {len(counts)} counts')
    return HistoryBuffer(values, counts, length)


def statistic_of(owner: object, name: str) -> Named:
    """Stand in for ``getattr``, with which histories name their own methods.

    Raises:
        NotPlainDataError: If it is asked for anything else.
    """
    if type(owner) is not Named or owner.name != CLASS or name not in _STATISTICS:
        of = owner.name if type(owner) is Named else type(owner).__name__
        raise NotPlainDataError(f'builtins.getattr of {of}')
    return STATISTICS[f'{CLASS}.{name}']


STATISTICS = {f'{CLASS}.{name}': Named(f'{CLASS}.{name}') for name in _STATISTICS}
