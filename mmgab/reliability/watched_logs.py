"""Logs and visual data of a run, whose disk may be full."""

import logging
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps

from mmengine.runner import Runner

from .disk_failures import DiskFailures

_BACKEND_METHODS = ('add_config', 'add_graph', 'add_image', 'add_scalar', 'add_scalars', 'close')


class WatchedLogs:
    """Has the log file and the visualizer's backends report a failing disk as checkpoints do.

    Python prints a traceback for each record that it cannot write, and MMEngine ends the run at a
    curve that it cannot write.

    Args:
        failures: Where they are reported.
    """

    def __init__(self, failures: DiskFailures) -> None:
        self._failures = failures
        self._watched = ExitStack()

    def begin(self, runner: Runner) -> None:
        """Watch the logs of a run."""
        self.end()
        for handler in runner.logger.handlers:
            if isinstance(handler, logging.FileHandler):
                self._replace(handler, 'handleError', _raise_from_disk(handler.handleError))
                self._watch(handler, 'emit', handler.baseFilename)
        for backend in runner.visualizer._vis_backends.values():
            for method in _BACKEND_METHODS:
                self._watch(backend, method, f'{backend._save_dir}/ ({type(backend).__name__})')

    def end(self) -> None:
        """Restore the original methods."""
        self._watched.close()

    def _watch(self, owner: object, method: str, subject: str) -> None:
        write = getattr(owner, method)

        @wraps(write)
        def watched(*args: object, **kwargs: object) -> None:
            with self._failures.watch(subject):
                write(*args, **kwargs)

        self._replace(owner, method, watched)

    def _replace(self, owner: object, method: str, function: Callable) -> None:
        """Replace a method of one object, until the end."""
        setattr(owner, method, function)
        self._watched.callback(delattr, owner, method)


def _raise_from_disk(otherwise: Callable) -> Callable:
    """Give a handler's way with errors, which is called inside an ``except`` block."""

    def handle_error(record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            raise error
        otherwise(record)

    return handle_error
