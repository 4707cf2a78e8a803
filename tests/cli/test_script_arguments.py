"""Shell scripts report invalid arguments with one message, and start nothing."""

import os

import pytest

from ..conftest import ROOT, start_tool

pytestmark = pytest.mark.process

CONFIG = ROOT / 'configs' / 'upernet_swin_gab_nuclei.py'
URL = 'https://127.0.0.1:9/a.pth'


def error_message(script, *words, **variables):
    """Run a script that must reject its arguments; returns its message."""
    # MMEngine 0.10.7 warns of a package that it imports.
    done = start_tool(f'tools/{script}', *words, env={'PYTHONWARNINGS': 'ignore', **variables})
    assert done.returncode == 2, done.stdout
    (sentence,) = done.stdout.splitlines()
    return sentence


@pytest.fixture
def stand_ins(tmp_path):
    """Return variables that replace srun and python by stubs, and the file the stubs write."""
    for name in ('srun', 'python'):
        path = tmp_path / 'bin' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\ntouch {tmp_path}/trace\n')
        path.chmod(0o755)
    return dict(PATH=f'{tmp_path}/bin:{os.environ["PATH"]}'), tmp_path / 'trace'


@pytest.mark.parametrize('value', ['0', '-1', 'abc', '', '1.5', '2 '])
@pytest.mark.parametrize('variable', ['GPUS', 'GPUS_PER_NODE', 'CPUS_PER_TASK'])
def test_slurm_scripts_reject_invalid_numbers(variable, value, stand_ins):
    variables, trace = stand_ins
    words = ['part', 'job', CONFIG, URL]
    sentence = error_message('slurm_test.sh', *words, **variables, **{variable: value})
    assert sentence == f"{variable} is '{value}'; it must be an integer >= 1"
    assert not trace.exists()


@pytest.mark.parametrize(
    ('script', 'words', 'found'),
    [
        ('dist_train.sh', ['nowhere.py', '2'], "CONFIG is 'nowhere.py'"),
        ('dist_train.sh', ['8', CONFIG], "CONFIG is '8'"),
        ('dist_train.sh', [CONFIG.parent, '2'], "CONFIG is '"),
        ('dist_test.sh', ['nowhere.py', URL, '2'], "CONFIG is 'nowhere.py'"),
        ('dist_test.sh', [CONFIG, 'nowhere.pth', '2'], "CHECKPOINT is 'nowhere.pth'"),
        ('slurm_train.sh', ['part', 'job', 'nowhere.py', 'run'], "CONFIG is 'nowhere.py'"),
        ('slurm_test.sh', ['part', 'job', 'nowhere.py', URL], "CONFIG is 'nowhere.py'"),
        ('slurm_test.sh', ['part', 'job', CONFIG, 'no.pth'], "CHECKPOINT is 'no.pth'"),
        ('slurm_run.sh', ['part', 'job', 'nowhere.py'], "SCRIPT is 'nowhere.py'"),
    ],
)
def test_scripts_reject_missing_files(script, words, found, stand_ins):
    variables, trace = stand_ins
    sentence = error_message(script, *words, **variables)
    assert found in sentence
    assert str(ROOT) in sentence  # the current folder
    assert not trace.exists()


@pytest.mark.parametrize(
    ('variables', 'gpus', 'found'),
    [
        (dict(PORT='99999'), '2', "PORT is '99999'"),
        (dict(NNODES='2', NODE_RANK='2'), '2', 'NODE_RANK is 2 and NNODES is 2'),
        ({}, '', "GPUS is ''"),
    ],
)
def test_launcher_rejects_invalid_values(variables, gpus, found, tmp_path):
    words = [CONFIG, gpus, '--work-dir', tmp_path / 'run']
    assert found in error_message('dist_train.sh', *words, **variables)
    assert not (tmp_path / 'run').exists()


def test_launcher_rejects_missing_script():
    assert "script 'nowhere.py' does not exist" in error_message('dist_run.sh', '2', 'nowhere.py')


@pytest.mark.parametrize('tool', ['train', 'test'])
def test_missing_config_prints_one_message(tool, tmp_path):
    words = ['nowhere.py'] if tool == 'train' else ['nowhere.py', URL]
    sentence = error_message(f'{tool}.py', *words)
    assert 'config nowhere.py does not exist' in sentence
