"""Published checkpoints: contents, names, and files left after a failure."""

import hashlib
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmgab.atomic_file import PARTIAL, remove_abandoned
from mmgab.checkpoints import load, read_checkpoint
from mmgab.checkpoints.publication import publish
from mmgab.models import SwinGAB

from .projects import OURS


@pytest.fixture
def swin():
    return SwinGAB(**OURS).state_dict()


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'swin.pth'


def test_publish_keeps_weights_that_load_selects(path, swin):
    whole = dict(teacher=swin, student={n: t * 0 for n, t in swin.items()}, optimizer={})
    published = publish(whole, path.parent / 'new' / 'swin.pth')
    assert set(torch.load(published, weights_only=True)) == {'teacher'}
    published = publish(whole, path.parent / 'new' / 'swin.safetensors')
    assert set(read_checkpoint(published)) == set(swin)


def test_publish_drops_optimizer_and_adds_hash_to_name(path, swin):
    history = HistoryBuffer([1.0], [1])
    whole = dict(
        meta=dict(epoch=3), state_dict=swin, optimizer=dict(state={}), message_hub=dict(a=history)
    )
    published = publish(whole, path)
    digits = re.fullmatch(r'swin-([0-9a-f]{8})\.pth', published.name)[1]
    assert hashlib.sha256(published.read_bytes()).hexdigest().startswith(digits)
    contents = torch.load(published, weights_only=True)
    assert set(contents) == {'meta', 'state_dict'}
    assert contents['meta']['epoch'] == 3
    assert [p.name for p in path.parent.iterdir() if p.name.startswith('.')] == []
    with pytest.raises(FileExistsError, match='published before'):
        publish(whole, path)


KILLED = """
import os, signal, sys, time
from pathlib import Path
import torch
from mmgab.checkpoints import publication as module

def wait(path):
    print(path, flush=True)
    time.sleep(60)

module.file_sha256 = wait
module.publish(dict(state_dict=dict(weight=torch.zeros(3))), Path(sys.argv[1]))
"""


@pytest.mark.process
def test_killed_publish_leaves_partial_file_that_is_deleted_later(path, tmp_path):
    """And not before: another process sees that its writer lives."""
    command = [sys.executable, '-c', KILLED, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    draft = process.stdout.readline().strip()
    assert os.listdir(tmp_path) == [os.path.basename(draft)]
    assert remove_abandoned(tmp_path) == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [str(path) for path in remove_abandoned(tmp_path)] == [draft]
    assert os.path.basename(draft).startswith(PARTIAL)
    assert os.listdir(tmp_path) == []


def test_failed_publish_leaves_no_file(path, swin, monkeypatch):
    def fail(*args):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', fail)
    with pytest.raises(OSError, match='No space left'):
        publish(dict(state_dict=swin), path)
    assert os.listdir(path.parent) == []


def test_publish_strips_wrappers_and_keeps_module_metadata(path):
    model = SwinGAB(**OURS, window_size=(3, 5))
    held = torch.nn.ModuleDict(dict(backbone=torch.compile(model), head=torch.nn.Linear(2, 2)))
    published = publish(dict(state_dict=held.state_dict()), path)
    weights = torch.load(published, weights_only=True)['state_dict']
    assert set(weights) == {'head.weight', 'head.bias'} | {
        f'backbone.{name}' for name in model.state_dict()
    }
    assert load(SwinGAB(**OURS, window_size=(5, 3)), str(published)).resized
