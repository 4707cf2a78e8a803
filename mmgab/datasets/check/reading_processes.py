"""Read many files in several processes, and survive a file that crashes its process."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TypeVar

from tqdm import tqdm

_CHUNK = 16  # files per task of a process
_SUSPECTS = 1024  # files after the last result, one of which crashed a process
_DEATHS = 20  # crashes that are attributed to files; more have another cause

Result = TypeVar('Result')


def read_files(
    read: Callable[[str], Result],
    unreadable: Callable[[str, str], Result],
    paths: Sequence[str],
    title: str,
    workers: int | None = None,
) -> list[Result]:
    """Read files in several processes, with a progress bar in a terminal.

    Args:
        read: Reads a path; runs in the processes.
        unreadable: Returns the result for a path that crashed its process, with the reason.
        paths: Paths of the files.
        title: Title of the progress bar.
        workers: Number of processes; by default one per core.

    Returns:
        A result for each file, in the order of ``paths``.

    Raises:
        RuntimeError: If more than 20 processes die.
    """
    results: list[Result] = []
    deaths = 0
    # disable=None: no progress bar without a terminal.
    with tqdm(desc=title, total=len(paths), unit='file', leave=False, disable=None) as bar:

        def note(result: Result) -> None:
            results.append(result)
            bar.update()

        while len(results) < len(paths):
            for result in _until_one_dies(read, paths[len(results) :], workers, _CHUNK):
                note(result)
            # If a process died, one of the next files crashed it: read them one by one.
            suspects = paths[len(results) :][:_SUSPECTS]
            end = len(results) + len(suspects)
            for result in _until_one_dies(read, suspects, 1, 1):
                note(result)
            if len(results) < end:
                deaths += 1
                if deaths > _DEATHS:
                    raise RuntimeError(
                        f'{deaths} reading processes died; reduce --workers to save memory'
                    )
                note(unreadable(paths[len(results)], 'the process that read this file died'))
    return results


def _until_one_dies(
    read: Callable[[str], Result], paths: Sequence[str], workers: int | None, chunk: int
) -> Iterator[Result]:
    """Yield results in the order of the files, up to the first that crashed its process."""
    with ProcessPoolExecutor(workers) as pool, suppress(BrokenProcessPool):
        yield from pool.map(read, paths, chunksize=chunk)
