"""A second run in the work dir of a running one raises an error."""

import errno
import fcntl
import json
import multiprocessing
import os
import signal
import socket
import time
from datetime import datetime

import pytest

from mmgab.reliability.work_dir_lock import LOCK, WorkDirInUseError, work_dir_lock

pytestmark = pytest.mark.process

fork = multiprocessing.get_context('fork')


def hold(folder, is_held, end=None):
    """Hold the lock for ever; with an ``end`` beside a child, which lives until that is closed."""
    with work_dir_lock(str(folder)):
        if end is not None and os.fork() == 0:
            os.close(end[1])
            os.read(end[0], 1)
            os._exit(0)
        is_held.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """Starts a process that holds the lock of the folder."""
    started, end = [], os.pipe()

    def start(with_worker=False):
        is_held = fork.Event()
        arguments = (tmp_path, is_held, end if with_worker else None)
        process = fork.Process(target=hold, args=arguments)
        process.start()
        started.append(process)
        assert is_held.wait(30)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
    for handle in end:
        os.close(handle)


def contents(folder):
    """Everything that can be seen of a folder's files."""
    return {
        path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes())
        for path in [folder, *folder.rglob('*')]
    }


def test_second_run_is_rejected_with_the_first_reported(holder, tmp_path):
    begun = datetime.now().astimezone().replace(microsecond=0)
    first = holder()
    before = contents(tmp_path)
    with pytest.raises(WorkDirInUseError) as refused, work_dir_lock(str(tmp_path)):
        pass
    sentence = str(refused.value)
    for words in (str(tmp_path), f'process {first.pid} on {socket.gethostname()}', '--work-dir'):
        assert words in sentence
    assert '--force' in sentence
    since = datetime.fromisoformat(sentence.partition('since ')[2].partition(')')[0])
    assert begun <= since <= datetime.now().astimezone()
    assert contents(tmp_path) == before


@pytest.mark.parametrize('with_worker', [False, True])
def test_lock_of_a_killed_run_is_ignored(with_worker, holder, tmp_path):
    """Not even where a worker of its loader lives on."""
    process = holder(with_worker)
    process.kill()
    process.join()
    with work_dir_lock(str(tmp_path)):
        assert json.loads((tmp_path / LOCK).read_text())['pid'] == os.getpid()


def test_a_stopped_run_keeps_its_lock(holder, tmp_path):
    process = holder()
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(WorkDirInUseError), work_dir_lock(str(tmp_path)):
        pass


def test_a_folder_is_the_same_by_any_path(holder, tmp_path, tmp_path_factory):
    holder()
    other = tmp_path_factory.mktemp('other') / 'link'
    other.symlink_to(tmp_path)
    with pytest.raises(WorkDirInUseError), work_dir_lock(str(other)):
        pass


def test_force_trains_with_a_warning(holder, tmp_path, capsys):
    first = holder()
    before = contents(tmp_path)
    with work_dir_lock(str(tmp_path), force=True):
        assert f'process {first.pid}' in capsys.readouterr().err
    assert contents(tmp_path) == before
    with pytest.raises(WorkDirInUseError), work_dir_lock(str(tmp_path)):  # the first still has it
        pass


def test_runs_of_one_process_follow_each_other(tmp_path):
    with pytest.raises(ZeroDivisionError), work_dir_lock(str(tmp_path)):
        raise ZeroDivisionError
    for _ in range(2):
        with work_dir_lock(str(tmp_path)):
            pass


def test_finished_run_releases_its_lock(holder, tmp_path):
    with work_dir_lock(str(tmp_path)):
        pass
    holder()


def test_second_run_is_rejected_with_an_incomplete_lock_file(holder, tmp_path):
    holder()
    (tmp_path / LOCK).write_text('{"pid')
    with pytest.raises(WorkDirInUseError, match='another process'), work_dir_lock(str(tmp_path)):
        pass


@pytest.mark.parametrize('kind', ['folder', 'link', 'pipe'])
def test_unlockable_file_is_reported_and_unchanged(kind, tmp_path, capsys):
    target = tmp_path / 'target'
    target.write_text('precious')
    path = tmp_path / 'run' / LOCK
    path.parent.mkdir()
    make = dict(
        folder=path.mkdir, link=lambda: path.symlink_to(target), pipe=lambda: os.mkfifo(path)
    )
    make[kind]()
    with work_dir_lock(str(path.parent)):
        assert 'cannot be locked' in capsys.readouterr().err
    assert target.read_text() == 'precious'


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_file_system_without_locks_gives_a_warning(number, tmp_path, monkeypatch, capsys):
    """As it answers: there is none here to try."""

    def lockf(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, 'lockf', lockf)
    with work_dir_lock(str(tmp_path)):
        warning = capsys.readouterr().err
    assert f'cannot be locked ({os.strerror(number)})' in warning
    assert str(tmp_path) in warning
