"""What a transform does about a file that it cannot read: stop the run, or leave out the sample."""

from collections.abc import Callable
from pathlib import Path

from mmgab.printable_text import printable

MAX_IN_A_ROW = 1000  # as often as MMEngine's data sets take another sample


class MissingFileError(FileNotFoundError, ValueError):
    """A file that is not there; a ValueError as any other that cannot be read."""


class UnreadableFiles:
    """Stop a run at a file that cannot be read, or leave out its sample and note it.

    For a sample that is left out MMEngine's data sets take another one, drawn at random, up to
    ``max_refetch`` times.

    Args:
        policy: ``'stop'`` or ``'skip'``.
        transform: Name of the transform that reads, for messages.

    Attributes:
        record: Where to note what was left out, a line each; None for nowhere.

    Raises:
        ValueError: If the policy is neither.
    """

    def __init__(self, policy: str, transform: str) -> None:
        if policy not in ('stop', 'skip'):
            raise ValueError(f"{transform}: unreadable must be 'stop' or 'skip', got {policy!r}")
        self.policy = policy
        self.transform = transform
        self.record: Path | None = None
        self._in_a_row = 0

    def load(self, load: Callable[[dict], dict | None], results: dict, file: str) -> dict | None:
        """Call a transform that reads a file.

        Args:
            load: The transform.
            results: Of the transforms before it.
            file: Which one it reads, ``'image PATH'`` for example.

        Returns:
            What the transform returns; None where the file cannot be read and is left out.

        Raises:
            MissingFileError: If the file is not there, and is not to be left out.
            ValueError: If the file cannot be read and is not to be left out, or if there were
                1000 of them in a row: nothing of the data set seems to be readable.
        """
        try:
            loaded = load(results)
        except Exception as error:  # a decoder raises nearly anything on bytes that are no image
            self._leave_out(printable(file), printable(f'{type(error).__name__}: {error}'), error)
            return None
        self._in_a_row = 0
        return loaded

    def _leave_out(self, file: str, reason: str, error: Exception) -> None:
        if self.policy == 'stop':
            kind = MissingFileError if isinstance(error, FileNotFoundError) else ValueError
            raise kind(
                f"{file} cannot be read ({reason}). {self.transform}(unreadable='skip') would "
                'train without it'
            ) from error
        self._in_a_row += 1
        if self._in_a_row >= MAX_IN_A_ROW:
            raise ValueError(
                f'{self.transform}: {MAX_IN_A_ROW} files in a row cannot be read; check the data '
                f'with tools/misc/check_dataset.py. The last one: {file} ({reason})'
            ) from error
        if self.record is not None:
            with open(self.record, 'ab', buffering=0) as record:  # workers share it
                record.write(f'{file} ({reason})\n'.encode())  # in one write each
