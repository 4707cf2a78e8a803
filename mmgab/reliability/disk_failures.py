"""Handle files that cannot be written: stop the run, or log it once and continue."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from mmengine.dist import broadcast_object_list, is_main_process

from mmgab.log import log

_CHOICES = ('stop', 'go_on')
Value = TypeVar('Value')


class DiskFailures:
    """Ends a run at the first file that cannot be written, or logs each such file once.

    When a file can be written again, that is logged once as well.

    Args:
        on_failure: ``'stop'`` or ``'go_on'``.

    Raises:
        ValueError: If it is neither.
    """

    def __init__(self, on_failure: str) -> None:
        if on_failure not in _CHOICES:
            raise ValueError(f"on_failure must be 'stop' or 'go_on', got {on_failure!r}")
        self._ends = on_failure == 'stop'
        self._failing: set[tuple[str, str]] = set()

    def report(self, subject: str, text: str, action: str = 'written') -> None:
        """Stop the run with an error message, or log it.

        Args:
            subject: What fails until :meth:`settle` hears that it does not.
            text: The sentence, without a full stop.
            action: What cannot be done with the subject.

        Raises:
            RuntimeError: If the run is to end.
        """
        self._failing.add((subject, action))
        if self._ends:
            raise RuntimeError(f"{text}. Set on_failure='go_on' to continue without it")
        _log(f'{text}. Training continues without it', logging.ERROR)

    def settle(self, subject: str, problem: str | None, action: str = 'written') -> bool:
        """Report a new problem with a file, or that it is solved.

        Args:
            subject: Path of the file.
            problem: Why it cannot be written; None where it was.
            action: What was to be done with it: written or deleted, for example.

        Returns:
            Whether it was done.

        Raises:
            RuntimeError: If it was not, and the run is to end.
        """
        is_failing = (subject, action) in self._failing
        if problem is None and is_failing:
            self._failing.discard((subject, action))
            _log(f'{subject} can be {action} again', logging.WARNING)
        elif problem is not None and not is_failing:
            self.report(subject, f'{subject} cannot be {action}: {problem}', action)
        return problem is None

    @contextmanager
    def watch(self, subject: str) -> Iterator[None]:
        """Settle whether the block could write.

        Raises:
            RuntimeError: If it could not, and the run is to end.
        """
        try:
            yield
        except OSError as error:
            self.settle(subject, reason(error, os.path.dirname(subject)))
        else:
            self.settle(subject, None)


def reason(error: Exception, folder: str | os.PathLike) -> str:
    """Return the reason in an error and the free disk space of a local folder."""
    text = getattr(error, 'strerror', None) or str(error)
    try:
        return f'{text} ({shutil.disk_usage(folder).free / 2**20:.0f} MiB free)'
    except OSError:
        return text


def of_main_process(value: Value) -> Value:
    """Broadcast a value of the main process; all processes call it."""
    values = [value]
    broadcast_object_list(values)
    return values[0]


def _log(text: str, level: int) -> None:
    if is_main_process():
        log(text, level)
