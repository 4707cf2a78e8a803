"""Files are read in order, and those that kill a process are named."""

import os
import signal

import pytest

from mmgab.datasets.check.reading_processes import read_files

pytestmark = pytest.mark.process


def size(path):
    """Stands for a decoder: some files crash it, as real ones do."""
    if 'crash' in path:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(path)


def lost(path, reason):
    return f'{path}: {reason}'


@pytest.mark.parametrize('crashes', [[], [0], [99], [16, 17], [3, 40, 41, 98]])
def test_files_that_kill_their_process_are_named_and_the_others_read(crashes):
    paths = [f'{"crash" if index in crashes else "sound"} {index}' for index in range(100)]
    found = read_files(size, lost, paths, 'files', 2)
    for index, (path, result) in enumerate(zip(paths, found, strict=True)):
        if index in crashes:
            assert result == f'{path}: the process that read it died'
        else:
            assert result == len(path)


def test_processes_that_always_die_end_the_reading():
    with pytest.raises(RuntimeError, match='21 processes died; fewer --workers'):
        read_files(size, lost, ['crash'] * 1000, 'files', 2)


def test_nothing_to_read_gives_nothing():
    assert read_files(size, lost, [], 'files', 2) == []
