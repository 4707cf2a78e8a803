"""Files that try to run code, read foreign memory, hang or crash raise a clean error."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from .assembler import as_zip, program, saved
from .attacks import MARKER, programs, raw_programs
from .bombs import HARMLESS, bombs
from .sandbox import DOORS, read_alone

pytestmark = pytest.mark.process


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
    """A sound file of each kind, which a process reads before the one that it is for."""
    folder = tmp_path_factory.mktemp('sound')
    paths = []
    for is_zip in (True, False):
        paths.append(str(folder / f'{is_zip}.pth'))
        with open(paths[-1], 'wb') as file:
            file.write(saved(dict(a=torch.ones(2)), _use_new_zipfile_serialization=is_zip))
    for name, content in (('python.pth', as_zip(program(b'}'))), ('broken.pth', b'nothing')):
        (folder / name).write_bytes(content)
        paths.append(str(folder / name))
    return paths


def outcomes(cases, folder, sound, door='our reader'):
    """The outcome of reading each file, by name."""

    def run(case):
        number, (name, content) = case
        own = folder / str(number)
        own.mkdir()
        path = own / 'evil.pth'
        path.write_bytes(content)
        outcome, events = read_alone(path, door, sound)
        left = sorted(p.name for p in own.iterdir())
        own_marker = [entry for entry in left if entry != 'evil.pth']
        return name, outcome, events, own_marker

    with ThreadPoolExecutor(max(2, len(os.sched_getaffinity(0)))) as pool:
        return list(pool.map(run, enumerate(cases)))


def assert_refused(results):
    """Check that every file raised a ValueError, without any side effect."""
    bad = [
        (name, outcome, events, left)
        for name, outcome, events, left in results
        if not outcome.startswith('refused: ') or 'evil.pth' not in outcome or events or left
    ]
    assert not bad, '\n'.join(map(str, bad))


@pytest.mark.parametrize('door', DOORS)
def test_files_with_pickle_code_are_rejected_and_not_run(door, sound, tmp_path):
    cases = [*programs(), *raw_programs()]
    if door != 'our reader':
        cases = cases[::7]
    results = outcomes(cases, tmp_path, sound, door)
    assert_refused(results)
    assert not (tmp_path / MARKER).exists()


def test_oversized_claims_are_rejected_in_bounded_time(sound, tmp_path):
    assert_refused(outcomes(bombs(), tmp_path, sound))


def test_cheap_claims_are_read(sound, tmp_path):
    """Unusual but harmless values stay within the bounds."""
    results = outcomes(((name, as_zip(value)) for name, value in HARMLESS.items()), tmp_path, sound)
    assert [(outcome, events) for _, outcome, events, _ in results] == [('loaded', [])] * 3
