"""Files are read in order, and files that crash a process are reported."""

import os
import signal

import pytest

from mmgab.datasets.check.reading_processes import read_files

pytestmark = pytest.mark.process


def size(path):
    """Stand-in for a decoder that some files crash."""
    if 'crash' in path:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(path)


def lost(path, reason):
    return f'{path}: {reason}'


@pytest.mark.parametrize('crashes', [[], [0], [99], [16, 17], [3, 40, 41, 98]])
def test_files_that_crash_their_process_are_reported(crashes):
    paths = [f'{"crash" if index in crashes else "sound"} {index}' for index in range(100)]
    found = read_files(size, lost, paths, 'files', 2)
    for index, (path, result) in enumerate(zip(paths, found, strict=True)):
        if index in crashes:
            assert result == f'{path}: the process that read this file died'
        else:
            assert result == len(path)


def test_repeated_process_crashes_raise_an_error():
    with pytest.raises(RuntimeError, match='21 reading processes died; reduce --workers'):
        read_files(size, lost, ['crash'] * 1000, 'files', 2)


def test_no_files_give_no_results():
    assert read_files(size, lost, [], 'files', 2) == []
