"""A check of an installation, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .install import install_command

Status = Literal['PASS', 'FAIL', 'NOTE']


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Attributes:
        name: What was looked at.
        status: ``NOTE`` is for what only some users need.
        found: In a sentence.
        cure: What to do about it; empty where nothing is to be done.
    """

    name: str
    status: Status
    found: str
    cure: str = ''


def run_check(name: str, check: Callable[[], Outcome]) -> Outcome:
    """Run a check; one that breaks has failed, with what it broke with."""
    try:
        return check()
    except ModuleNotFoundError as error:
        return Outcome(name, 'FAIL', f'no module {error.name}', install_command(str(error.name)))
    except Exception as error:  # an installation can break in any way
        return Outcome(name, 'FAIL', f'{type(error).__name__}: {error}', CURE_OF_IMPORT)


CURE_OF_IMPORT = (
    'install what requirements/ says, in its order: torch, then mmcv with --no-build-isolation, '
    'then the rest; `make setup` does it in a clone'
)
