"""Processes of a run that end with their launcher, also where it is killed.

A thread in each of them looks whether the launcher is there. Linux could send a signal instead
(``PR_SET_PDEATHSIG``), but one alone, and when the parent's thread ends, not its process.
"""

import os
import signal
import threading
import time
from contextlib import suppress
from functools import cache

import psutil

GRACE = 30.0  # seconds to save in, as many as torchrun gives the others when a process has ended
_LAUNCHER = 'MMGAB_LAUNCHER_PID'
_INTERVAL = 0.5  # seconds


def announce_launcher() -> None:
    """Register this process as the launcher of processes that it starts from now on."""
    os.environ[_LAUNCHER] = str(os.getpid())


@cache  # one watch a process
def end_with_launcher() -> None:
    """End this process when its launcher ends; without an mmgab launcher, do nothing.

    The process gets SIGTERM, at which :class:`mmgab.reliability.AtomicCheckpointHook` saves
    ``interrupted.pth``. If it has not ended after ``GRACE`` seconds, because it waits for another
    process for example, it is killed together with its data loader's workers.

    Raises:
        SystemExit: If the launcher has ended already.
    """
    number = os.environ.get(_LAUNCHER)
    if number is None:
        return
    with suppress(psutil.NoSuchProcess):
        launcher = psutil.Process(int(number))
        if _is_running(launcher):
            threading.Thread(target=_watch, args=(launcher,), daemon=True).start()
            return
    raise SystemExit(f'launcher {number} has ended before this process started: this process exits')


def _watch(launcher: psutil.Process) -> None:
    while _is_running(launcher):
        time.sleep(_INTERVAL)
    killer = threading.Timer(GRACE, _kill)  # of its own: what follows may block
    killer.daemon = True
    killer.start()
    text = f'launcher {launcher.pid} has ended: sending SIGTERM, then SIGKILL in {GRACE:.0f} s\n'
    with suppress(OSError):
        os.write(2, text.encode())
    os.kill(os.getpid(), signal.SIGTERM)


def _is_running(process: psutil.Process) -> bool:
    """Return True if a process runs and is not a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill() -> None:
    """Kill this process, and its group where it leads one, as torchrun's processes do."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
