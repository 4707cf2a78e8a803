"""The file that a run resumes from: how often it is opened, and how long it is held."""

import weakref
from collections import Counter

import pytest
import torch
from mmengine.config import Config

from mmgab.checkpoints import read_checkpoint
from mmgab.engine.resumed_file import ResumedFile

from ..faults.training import config, train, train_together

pytestmark = pytest.mark.process

WATCHED = dict(imports=['tests.faults.opened_files'])


@pytest.fixture(scope='module')
def trained(nuclei, tmp_path_factory):
    """A run's folder with the checkpoints of two epochs."""
    work_dir = tmp_path_factory.mktemp('trained')
    code, log = train(config(work_dir, nuclei, **{'train_cfg.max_epochs': 2}))
    assert code == 0, log
    return work_dir


def copied(trained, work_dir):
    """A copy of the folder, without its log, and the settings that resume there."""
    work_dir.mkdir()
    for path in (*trained.glob('*.pth'), trained / 'last_checkpoint'):
        (work_dir / path.name).write_bytes(path.read_bytes())
    return work_dir


def openings(log):
    return Counter(line for line in log.splitlines() if line.startswith('opened epoch'))


@pytest.mark.parametrize('is_named', [False, True])
def test_resumed_file_is_opened_once(is_named, trained, nuclei, tmp_path):
    work_dir = copied(trained, tmp_path / 'work')
    settings = config(work_dir, nuclei, resume=True, custom_imports=WATCHED)
    if is_named:
        settings.load_from = str(work_dir / 'epoch_2.pth')
    code, log = train(settings)
    assert code == 0, log
    assert read_checkpoint(work_dir / 'epoch_3.pth')['meta']['iter'] == 27
    others = {} if is_named else {'opened epoch_1.pth in process 0': 1}
    assert openings(log) == {'opened epoch_2.pth in process 0': 1, **others}


def test_resumed_file_is_opened_once_by_each_process(trained, nuclei, tmp_path):
    work_dir = copied(trained, tmp_path / 'work')
    settings = config(work_dir, nuclei, resume=True, custom_imports=WATCHED)
    codes, log = train_together(settings)
    assert codes == [0, 0], log
    found = openings(log)
    assert [found[f'opened epoch_2.pth in process {rank}'] for rank in range(2)] == [1, 1]


def test_resumed_file_is_held_until_it_is_taken(tmp_path):
    path = str(tmp_path / 'epoch_1.pth')
    torch.save(dict(meta=dict(iter=1), state_dict=dict(a=torch.ones(3))), path)
    file = ResumedFile(Config(dict(load_from=path, resume=True)), str(tmp_path))
    taken = file.take(path)
    tensor = weakref.ref(taken['state_dict']['a'])
    assert file.take(path) is None
    del taken
    assert tensor() is None
