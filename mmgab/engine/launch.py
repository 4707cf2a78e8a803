"""Launch a script in several processes that stop together.

    python -m mmgab.engine.launch --nproc_per_node=8 tools/train.py CONFIG --launcher pytorch

takes the arguments of torchrun (``python -m torch.distributed.run``), which does the work. What is
different: a signal goes to the script's processes alone, which may save before they end; where the
launcher is killed, they save and end too; the exit code is that of the process that ended first,
whose error is the last line; and where one machine is given no port, it takes a free one.
"""

import logging
import os
import signal
import socket
import sys
import threading
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

import psutil
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing import api as torchelastic
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from mmgab.reliability import STOPPED_EXIT_CODE
from mmgab.reliability.launcher_watch import announce_launcher

from .launch_arguments import parse_arguments

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_UNTRUE = ('Failed to register signal handlers', f'failed (exitcode: {STOPPED_EXIT_CODE})')
_NO_MESSAGE = 'To enable traceback see'  # torchrun's, of a process that left none
_LOST = ('Connection closed', 'Connection reset', 'Broken pipe', 'closed by peer')


def _is_true(record: logging.LogRecord) -> bool:
    """Return whether what torchrun logs is true here.

    Signals are handled by the main thread, and a run that was asked to stop has not failed.
    """
    return not record.getMessage().startswith(_UNTRUE)


class _Launcher(threading.Thread):
    """torchrun, in a thread: in the main one it would end the processes at a signal."""

    def __init__(self, arguments: Namespace) -> None:
        super().__init__(daemon=True)
        self.arguments = arguments
        self.error: BaseException | None = None

    def run(self) -> None:
        """Run the processes to their end."""
        try:
            torchrun.run(self.arguments)
        except BaseException as error:  # reported by the main thread
            self.error = error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the processes; returns the exit code."""
    launcher = _Launcher(parse_arguments(argv))
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # torchrun's choice, without its warning
    logging.getLogger(torchelastic.__name__).addFilter(_is_true)
    announce_launcher()
    for number in _FORWARDED:
        signal.signal(number, _forward)
    launcher.start()
    while launcher.is_alive():
        launcher.join(0.2)
    if isinstance(launcher.error, ChildFailedError):
        return _tell(launcher.error)
    if launcher.error is not None:
        raise launcher.error
    return 0


def _forward(number: int, frame: FrameType | None) -> None:
    """Forward a signal to the processes of the script; exit if there are none yet."""
    processes = psutil.Process().children()
    if not processes:
        raise SystemExit(128 + number)
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it has just ended
            process.send_signal(number)


def _tell(error: ChildFailedError) -> int:
    """Print which process ended first and why; returns its exit code."""
    rank, failure = min(error.failures.items(), key=_order)
    print(f'rank {rank} on {socket.gethostname()} ended first, {_reason(failure)}', file=sys.stderr)
    return failure.exitcode if failure.exitcode > 0 else 128 - failure.exitcode


def _order(item: tuple[int, ProcessFailure]) -> tuple:
    """Time in whole seconds; of one second, those that lost another process come last."""
    rank, failure = item
    return failure.timestamp, any(words in _reason(failure) for words in _LOST), rank


def _reason(failure: ProcessFailure) -> str:
    if failure.exitcode < 0:
        return f'by {signal.Signals(-failure.exitcode).name}'
    if failure.exitcode == STOPPED_EXIT_CODE:
        return f'exit code {STOPPED_EXIT_CODE}: stopped on request; the run can be resumed'
    message = failure.message
    text = message if isinstance(message, str) else message.get('message', '')
    text = '' if text.startswith(_NO_MESSAGE) else text
    return f'exit code {failure.exitcode}' + (f': {text.strip().splitlines()[0]}' if text else '')


if __name__ == '__main__':
    sys.exit(main())
