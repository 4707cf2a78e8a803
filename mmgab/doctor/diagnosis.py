"""Run a check of the installation and return its outcome."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .install import install_command

Status = Literal['PASS', 'FAIL', 'NOTE']


@dataclass(frozen=True)
class Outcome:
    """Outcome of a check.

    Attributes:
        name: Name of the check.
        status: ``PASS``, ``FAIL``, or ``NOTE``, which matters to some users only.
        found: The value or problem found, as text.
        fix: Command or advice that fixes it; empty if there is nothing to do.
    """

    name: str
    status: Status
    found: str
    fix: str = ''


def run_check(name: str, check: Callable[[], Outcome]) -> Outcome:
    """Run a check; an exception is a failed check with the exception as the problem found."""
    try:
        return check()
    except ModuleNotFoundError as error:
        return Outcome(name, 'FAIL', f'no module {error.name}', install_command(str(error.name)))
    except Exception as error:  # a broken installation can raise anything
        return Outcome(name, 'FAIL', f'{type(error).__name__}: {error}', REINSTALL)


REINSTALL = (
    'install the packages of requirements/ in this order: torch (build.txt), mmcv with '
    '--no-build-isolation, then the rest; `make setup` does this in a clone'
)
