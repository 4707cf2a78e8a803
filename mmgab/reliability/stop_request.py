"""Signals that ask a run to end, agreed on by its processes between two iterations."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import FrameType

from torch.utils.data import DataLoader

from mmgab.log import log

from .processes import Agreement, speaks

# sysexits.h: a temporary failure, "the user is invited to retry".
STOPPED_EXIT_CODE = 75
_SAME_REQUEST = 1.0  # seconds
# What signal.signal takes and returns; None of a handler that Python has not installed.
_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


class StopRequest:
    """Notes the first signal that asks a run to end.

    Signals within a second of it, of whatever kind, are the same request: a terminal and a launcher
    both pass one on. The first signal after that, of whatever kind, ends the process at once. At
    once is as soon as Python runs: not while it waits inside a collective operation.

    Args:
        signals: Names, ``'SIGTERM'`` for example.

    Attributes:
        is_listening: Whether the processes of a run agree on signals.

    Raises:
        ValueError: If there is no such signal here.
    """

    def __init__(self, signals: Sequence[str]) -> None:
        unknown = [name for name in signals if not hasattr(signal, name)]
        if unknown:
            raise ValueError(f'stop_signals: {unknown[0]!r} is not a signal name such as SIGTERM')
        self._signals = [getattr(signal, name) for name in signals]
        self._before: dict[int, _Handler] = {}
        self._received: signal.Signals | None = None
        self._time = 0.0
        self._agreement = Agreement()
        self.is_listening = False

    def listen(self) -> None:
        """Begin to note signals; called by all processes of a run.

        Python handles signals in the main thread alone: in another one they are left as they are,
        which a warning says.
        """
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in self._signals}
        elif self._signals:
            log(
                'Training is not in the main thread, so signals do not stop this run with a '
                'checkpoint',
                logging.WARNING,
            )
        self.is_listening = bool(self._signals)
        self._agreement.begin()

    def spare_workers(self, loader: DataLoader) -> None:
        """Make loader workers that start after this ignore the signals, except SIGTERM.

        A terminal and Slurm send them to all processes. PyTorch ends workers with SIGTERM.
        """
        ignored = [number for number in self._signals if number != signal.SIGTERM]
        loader.worker_init_fn = partial(_start_worker, ignored, loader.worker_init_fn)

    def forget(self) -> None:
        """Handle signals as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
        self.is_listening = False

    def agreed(self) -> str | None:
        """Name of a signal that any process has received; called by all between iterations."""
        number = self._agreement.largest(int(self._received or 0)) if self._signals else 0
        return signal.Signals(number).name if number else None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received is None:
            self._received, self._time = signal.Signals(number), time.monotonic()
            if speaks():
                _announce(self._received)
        elif time.monotonic() - self._time > _SAME_REQUEST:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def _announce(received: signal.Signals) -> None:
    text = (
        f'{received.name}: this iteration is finished and saved; another signal, after a second, '
        'stops the run at once\n'
    )
    with suppress(OSError):  # a terminal or launcher that has gone
        os.write(2, text.encode())  # not print: it may be in the middle of one


def _start_worker(ignored: Sequence[int], start: Callable | None, worker: int) -> None:
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    if start is not None:
        start(worker)
