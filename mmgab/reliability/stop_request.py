"""Signals that ask a run to end, agreed on by its processes between two iterations."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

import torch
from mmengine.dist import is_distributed
from torch import distributed

# sysexits.h: a temporary failure, "the user is invited to retry".
STOPPED_EXIT_CODE = 75
# A terminal and a launcher both pass a signal on: one request, which arrives twice.
_SAME_REQUEST = 1.0


class StopRequest:
    """Notes the first signal; one that comes more than a second after it ends the process at once.

    Args:
        signals: Names, ``'SIGTERM'`` for example.

    Raises:
        ValueError: If there is no such signal here.
    """

    def __init__(self, signals: Sequence[str]) -> None:
        unknown = [name for name in signals if not hasattr(signal, name)]
        if unknown:
            raise ValueError(f'stop_signals: {unknown[0]!r} is no signal; SIGTERM would be one')
        self._signals = [getattr(signal, name) for name in signals]
        self._before: dict[int, object] = {}
        self._received: signal.Signals | None = None
        self._time = 0.0
        self._group: distributed.ProcessGroup | None = None

    def listen(self) -> None:
        """Begin to note signals; called by all processes of a run."""
        self._before = {number: signal.signal(number, self._note) for number in self._signals}
        if self._signals and is_distributed() and distributed.get_backend() != 'gloo':
            # On the CPU, so that asking does not wait for what an accelerator has queued.
            self._group = distributed.new_group(backend='gloo')

    def forget(self) -> None:
        """Handle signals as before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @property
    def is_listening(self) -> bool:
        """Whether signals are noted."""
        return bool(self._before)

    def agreed(self) -> str | None:
        """Name of a signal that any process has received; called by all between iterations."""
        number = int(self._received or 0)
        if self._signals and is_distributed():
            largest = torch.tensor(number)
            distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self._group)
            number = int(largest)
        return signal.Signals(number).name if number else None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received is None:
            self._received, self._time = signal.Signals(number), time.monotonic()
            name = self._received.name
            print(f'{name}: this iteration is finished and saved; again ends it at once',
                  file=sys.stderr)  # fmt: skip
        elif time.monotonic() - self._time > _SAME_REQUEST:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def leave_processes() -> None:
    """Leave the process group together, at the end of a run.

    A rank that vanishes while another still waits for it makes that one abort, and one that left
    while another still saves has the launcher end that as well.
    """
    if is_distributed():
        distributed.barrier()
        distributed.destroy_process_group()
