"""Reading of many files by several processes, of which one may die of a file."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import TypeVar

from tqdm import tqdm

_CHUNK = 16  # files that a process takes at once
_SUSPECTS = 1024  # files after the last that was read, one of which killed a process
_DEATHS = 20  # of as many files processes may die; then it is not the files

Result = TypeVar('Result')


def read_files(
    read: Callable[[str], Result],
    unreadable: Callable[[str, str], Result],
    paths: Sequence[str],
    title: str,
    workers: int | None = None,
) -> list[Result]:
    """Read files in processes, with a progress bar in a terminal.

    Args:
        read: What to do with a path; runs in the processes.
        unreadable: Makes the result for a path whose process died, and the reason.
        paths: Of the files.
        title: Of the progress bar.
        workers: Processes; one for each core by default.

    Returns:
        A result for each file, in their order.

    Raises:
        RuntimeError: If processes die again and again.
    """
    results: list[Result] = []
    deaths = 0
    # disable=None: no bar where nobody sees it move.
    with tqdm(desc=title, total=len(paths), unit='file', leave=False, disable=None) as bar:

        def note(result: Result) -> None:
            results.append(result)
            bar.update()

        while len(results) < len(paths):
            for result in _until_one_dies(read, paths[len(results) :], workers, _CHUNK):
                note(result)
            # If a process died, of one of the next files: another one reads them one by one.
            suspects = paths[len(results) :][:_SUSPECTS]
            end = len(results) + len(suspects)
            for result in _until_one_dies(read, suspects, 1, 1):
                note(result)
            if len(results) < end:
                deaths += 1
                if deaths > _DEATHS:
                    raise RuntimeError(f'{deaths} processes died; fewer --workers need less memory')
                note(unreadable(paths[len(results)], 'the process that read it died'))
    return results


def _until_one_dies(
    read: Callable[[str], Result], paths: Sequence[str], workers: int | None, chunk: int
) -> Iterator[Result]:
    """Results in the order of the files, up to the first that a process took with it."""
    with ProcessPoolExecutor(workers) as pool, suppress(BrokenProcessPool):
        yield from pool.map(read, paths, chunksize=chunk)
