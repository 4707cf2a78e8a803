"""Handle files that a transform cannot read: stop the run or skip the sample."""

from collections.abc import Callable
from pathlib import Path

from mmgab.printable_text import printable

MAX_IN_A_ROW = 1000  # equal to max_refetch of MMEngine's datasets


class MissingFileError(FileNotFoundError, ValueError):
    """Missing file; also a ValueError, as for other unreadable files."""


class UnreadableFiles:
    """Policy for unreadable files: stop the run, or skip the sample and record it.

    MMEngine's datasets replace a skipped sample by a random other one, up to ``max_refetch``
    times.

    Args:
        policy: ``'stop'`` or ``'skip'``.
        transform: Name of the transform, for messages.

    Attributes:
        record: File that lists skipped samples, one per line; None for no record.

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
            results: Results of the transforms before it.
            file: Description of the file, ``'image PATH'`` for example.

        Returns:
            Output of the transform; None if the file is unreadable and skipped.

        Raises:
            MissingFileError: If the file does not exist and the policy is ``'stop'``.
            ValueError: If the file is unreadable and the policy is ``'stop'``, or after 1000
                unreadable files in a row.
        """
        try:
            loaded = load(results)
        except Exception as error:  # a decoder may raise any error on invalid bytes
            self._leave_out(printable(file), printable(f'{type(error).__name__}: {error}'), error)
            return None
        self._in_a_row = 0
        return loaded

    def _leave_out(self, file: str, reason: str, error: Exception) -> None:
        if self.policy == 'stop':
            kind = MissingFileError if isinstance(error, FileNotFoundError) else ValueError
            raise kind(
                f'{file} cannot be read ({reason}). To train without it, set '
                f"{self.transform}(unreadable='skip')"
            ) from error
        self._in_a_row += 1
        if self._in_a_row >= MAX_IN_A_ROW:
            raise ValueError(
                f'{self.transform}: {MAX_IN_A_ROW} files in a row cannot be read; check the data '
                f'with mmgab check. The last one: {file} ({reason})'
            ) from error
        if self.record is not None:
            with open(self.record, 'ab', buffering=0) as record:  # shared by workers
                record.write(f'{file} ({reason})\n'.encode())  # one write per line
