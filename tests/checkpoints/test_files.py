"""Reading and writing real files: safe ones, hostile ones, broken ones."""

import os
import pickle
import signal
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmgab.checkpoints import load, read_checkpoint, write_checkpoint
from mmgab.models import SwinGAB

from .projects import OURS


@pytest.fixture
def swin():
    return SwinGAB(**OURS).state_dict()


@pytest.fixture
def path(tmp_path, swin):
    torch.save(dict(state_dict=swin), tmp_path / 'swin.pth')
    return tmp_path / 'swin.pth'


def test_missing_file_error_has_path(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth does not exist'):
        read_checkpoint(str(tmp_path / 'nowhere.pth'))


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('length', [0, 1, 100, 5000, 66000, 0.5, 0.99, 0.9999])
def test_truncated_file_error_has_path(length, suffix, swin, tmp_path):
    path = tmp_path / f'other{suffix}'
    write_checkpoint(swin, path)
    content = path.read_bytes()
    kept = int(length * len(content)) if isinstance(length, float) else length
    path.write_bytes(content[:kept])
    with pytest.raises(ValueError, match=r'other.* cannot be read as a checkpoint.*truncated'):
        read_checkpoint(str(path))


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('content', [b'not weights\n', b'hello world', bytes(range(256)) * 40])
def test_file_of_another_format_is_rejected(content, suffix, tmp_path):
    path = tmp_path / f'notes{suffix}'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'notes.* cannot be read'):
        read_checkpoint(str(path))


def test_file_with_list_is_rejected(tmp_path):
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match=r'list\.pth is not a checkpoint: it holds a list'):
        read_checkpoint(str(tmp_path / 'list.pth'))


def test_transformers_folder_is_read(tmp_path, swin):
    write_checkpoint(swin, tmp_path / 'saved' / 'model.safetensors')
    assert set(read_checkpoint(str(tmp_path / 'saved'))) == set(swin)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(
        FileNotFoundError, match=r'empty has no checkpoint; it must contain model\.safetensors'
    ):
        read_checkpoint(str(tmp_path / 'empty'))


class Runs:
    """Pickles to a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


HOSTILE = {
    'touch': (lambda victim: Runs(Path.touch, victim), 'pathlib.Path'),
    'system': (lambda victim: Runs(os.system, f'touch {victim}'), 'system'),
    'eval': (lambda victim: Runs(eval, f'open({str(victim)!r}, "w")'), 'eval'),
    'open': (lambda victim: Runs(open, str(victim), 'w'), 'open'),
    'partial': (lambda victim: Runs(partial(os.mkdir, victim)), 'functools.partial'),
}


@pytest.mark.parametrize('legacy', [False, True], ids=['zip', 'before torch 1.6'])
@pytest.mark.parametrize('case', HOSTILE)
def test_pickle_code_is_not_run_and_is_reported(case, legacy, swin, tmp_path):
    make, name = HOSTILE[case]
    victim, path = tmp_path / 'victim', tmp_path / 'evil.pth'
    contents = dict(state_dict=swin, meta=make(victim))
    torch.save(contents, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=r'evil\.pth is rejected') as caught:
        load(SwinGAB(**OURS), str(path))
    assert name in str(caught.value)
    assert not victim.exists()


def test_getattr_targets_are_not_called(path):
    """MMEngine's own checkpoints need ``getattr``, which leads to anything."""
    program = (
        b'\x80\x02cbuiltins\ngetattr\ncmmengine.logging.history_buffer\nHistoryBuffer\n'
        b'X\x03\x00\x00\x00mro\x86R)R.'  # getattr(HistoryBuffer, 'mro')()
    )
    assert HistoryBuffer in pickle.loads(program)
    evil = path.with_name('evil.pth')
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(evil, 'w') as target:
        for record in source.namelist():
            is_program = record.endswith('data.pkl')
            target.writestr(record, program if is_program else source.read(record))
    with pytest.raises(ValueError, match=r'evil\.pth is rejected: .* builtins\.getattr of '):
        read_checkpoint(str(evil))


def test_trust_runs_pickle_code(tmp_path):
    victim, path = tmp_path / 'victim', tmp_path / 'evil.pth'
    torch.save(dict(meta=Runs(Path.touch, victim)), path)
    read_checkpoint(str(path), trust=True)
    assert victim.exists()


def test_mmengine_metadata_is_read(path, swin):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    torch.save(dict(state_dict=swin, message_hub=dict(log_scalars=dict(loss=history))), path)
    scalars = read_checkpoint(str(path))['message_hub']['log_scalars']
    assert scalars['loss'].mean() == 1.5


def test_unpickling_schemes_require_trust():
    with pytest.raises(ValueError, match=r's3://bucket/swin\.pth would be read by MMEngine'):
        read_checkpoint('s3://bucket/swin.pth')
    with pytest.raises(ValueError, match='cannot be checked'):
        read_checkpoint('s3://bucket/swin.pth', trust=True, sha256='0' * 64)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('swin_enormous', "has no model 'swin_enormous'"),
        ('swin_tiny_patch4_window7_224.martian', 'has no'),
        ('test_vit4', 'has no'),
    ],
)
def test_unknown_timm_model_error_has_name(name, message):
    with pytest.raises(ValueError, match=message):
        read_checkpoint(f'timm://{name}')


@pytest.mark.process
def test_timm_without_network_raises_connection_error():
    """Run in another process with the hub in offline mode."""
    run = """
import mmgab.checkpoints
from mmengine.runner.checkpoint import CheckpointLoader
CheckpointLoader.load_checkpoint('timm://swin_tiny_patch4_window7_224.ms_in1k')
"""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', run],
        env=dict(os.environ, HF_HUB_OFFLINE='1', HF_HOME='/nonexistent'),
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert 'ConnectionError: timm://swin_tiny_patch4_window7_224.ms_in1k' in done.stderr
    assert 'without network access' in done.stderr


def test_input_file_is_never_overwritten_even_with_force_or_link(path, swin):
    before = path.read_bytes()
    link = path.with_name('link.pth')
    link.symlink_to(path)
    for target in (path, link):
        with pytest.raises(FileExistsError, match='is an input file, which is never overwritten'):
            write_checkpoint(swin, target, inputs=[path], force=True)
    assert path.read_bytes() == before


def test_existing_file_is_replaced_only_with_force(path, swin):
    with pytest.raises(FileExistsError, match='or use --force to overwrite it'):
        write_checkpoint(dict(a=torch.ones(1)), path)
    assert set(read_checkpoint(str(path))['state_dict']) == set(swin)
    write_checkpoint(dict(a=torch.ones(1)), path, force=True)
    assert set(read_checkpoint(str(path))) == {'a'}


def test_failed_write_leaves_only_old_file(path):
    before = path.read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        write_checkpoint(dict(a=torch.ones(1), b=lambda: None), path, force=True)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.process
def test_killed_writer_leaves_old_file(path):
    """A real process, killed while it writes."""
    before = path.read_bytes()
    run = """
import os, signal, sys, threading, torch
from mmgab.checkpoints import write_checkpoint
class Dies:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)
write_checkpoint(dict(a=torch.ones(10000), b=Dies()), sys.argv[1], force=True)
"""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', run, path])
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before


def test_written_files_have_ordinary_permissions(tmp_path, swin):
    write_checkpoint(swin, tmp_path / 'a.pth')
    (tmp_path / 'b').write_text('')
    assert (tmp_path / 'a.pth').stat().st_mode == (tmp_path / 'b').stat().st_mode


class MakesAnArray:
    """Has a reader call NumPy's array with bytes as objects."""

    def __reduce__(self):
        return np.ndarray, ((1,), np.dtype('O'), b'AAAAAAAA')


def test_object_dtype_from_bytes_is_rejected(tmp_path):
    """NumPy's own class would take them for addresses in memory."""
    torch.save(dict(state_dict={}, extra=MakesAnArray()), tmp_path / 'evil.pth')
    with pytest.raises(ValueError, match=r"evil\.pth cannot be loaded: .* of dtype 'O8'"):
        read_checkpoint(tmp_path / 'evil.pth')


@pytest.mark.parametrize('kind', ['float32', 'int64', 'uint8', 'bool', 'float16', 'U5'])
def test_arrays_and_numbers_survive_read_and_save(kind, tmp_path):
    array = np.array([[1, 0], [0, 1]]).astype(kind)
    path = tmp_path / 'arrays.pth'
    for _ in range(2):
        torch.save(dict(array=array, number=np.float64(0.5)), path)
        found = read_checkpoint(path)
        assert found['array'].dtype == array.dtype
        assert (found['array'] == array).all()
        assert found['number'] == 0.5
        array = found['array']


def test_object_array_is_rejected(tmp_path):
    torch.save(dict(array=np.array([{}, []], dtype=object)), tmp_path / 'objects.pth')
    with pytest.raises(ValueError, match=r'objects\.pth'):
        read_checkpoint(tmp_path / 'objects.pth')
