"""Invalid arguments and variables of the launcher are reported in one sentence."""

import pytest
import torch

from mmgab.engine.launch import main
from mmgab.engine.launch_arguments import parse_arguments


@pytest.fixture
def script(tmp_path):
    """A script that leaves a trace."""
    path = tmp_path / 'script.py'
    path.write_text(f'open({str(tmp_path / "trace")!r}, "w")')
    return str(path)


@pytest.mark.parametrize(
    ('words', 'found', 'allowed'),
    [
        ('--master_port=99999', "PORT is '99999'", 'from 1 to 65535'),
        ('--master_port=abc', "PORT is 'abc'", 'from 1 to 65535'),
        ('--master_port=0', "PORT is '0'", 'from 1 to 65535'),
        ('--master_port=-1', "PORT is '-1'", 'from 1 to 65535'),
        ('--master-port=8.5', "PORT is '8.5'", 'from 1 to 65535'),
        ('--nproc_per_node=0', "GPUS is '0'", '>= 1'),
        ('--nproc_per_node=-1', "GPUS is '-1'", '>= 1'),
        ('--nproc_per_node=abc', "GPUS is 'abc'", '>= 1, auto, cpu'),
        ('--nproc_per_node=', "GPUS is ''", '>= 1'),
        ('--nproc-per-node=1.5', "GPUS is '1.5'", '>= 1'),
        ('--nnodes=0', "NNODES is '0'", '>= 1'),
        ('--nnodes=abc', "NNODES is 'abc'", '>= 1'),
        ('--nnodes=2:1', "NNODES is '2:1'", 'FEWEST:MOST'),
        ('--nnodes=1:2:3', "NNODES is '1:2:3'", 'FEWEST:MOST'),
        ('--node_rank=-1', "NODE_RANK is '-1'", '>= 0'),
        ('--node_rank=x', "NODE_RANK is 'x'", '>= 0'),
        ('--node_rank=1', 'NODE_RANK is 1 and NNODES is 1', 'from 0 to 0'),
        ('--nnodes=2 --node_rank=2', 'NODE_RANK is 2 and NNODES is 2', 'from 0 to 1'),
    ],
)
def test_invalid_value_is_rejected_before_launch(words, found, allowed, script, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), script])
    (sentence,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert found in sentence
    assert allowed in sentence
    assert not (tmp_path / 'trace').exists()


def test_torchrun_variables_are_checked(script, monkeypatch, capsys):
    monkeypatch.setenv('PET_NNODES', 'many')
    with pytest.raises(SystemExit):
        main([script])
    assert "NNODES is 'many'" in capsys.readouterr().err


def test_missing_script_error_has_its_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(['--nproc_per_node=2', 'nowhere.py'])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "script 'nowhere.py' does not exist" in error
    assert str(tmp_path / 'nowhere.py') in error


@pytest.mark.parametrize('word', ['1', ' 2', '3', 'auto', 'cpu'])
def test_torchrun_values_are_accepted(word, script):
    assert parse_arguments([f'--nproc_per_node={word}', script]).nproc_per_node == word


def test_port_is_free_on_one_machine_and_fixed_on_several(script):
    assert parse_arguments([script]).standalone
    assert parse_arguments(['--nnodes=1', script]).standalone
    several = parse_arguments(['--nnodes=2', '--node_rank=1', script])
    assert (several.standalone, several.master_port, several.nnodes) == (False, 29500, '2:2')
    given = parse_arguments(['--master_port=29511', '--node_rank=3', '--nnodes=2:4', script])
    assert (given.standalone, given.master_port, given.nnodes) == (False, 29511, '2:4')


def test_modules_and_commands_need_no_file():
    assert parse_arguments(['--module', 'some.module']).module
    assert parse_arguments(['--no_python', 'true']).no_python


@pytest.mark.parametrize(
    ('devices', 'processes', 'is_refused'),
    [(2, '3', True), (2, '2', False), (0, '3', False), (1, 'cpu', False)],
)
def test_more_processes_than_gpus_are_rejected(
    devices, processes, is_refused, script, monkeypatch, capsys
):
    """Uses a mocked GPU count."""
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: devices)
    words = [f'--nproc_per_node={processes}', script]
    if not is_refused:
        parse_arguments(words)
        return
    with pytest.raises(SystemExit) as ended:
        parse_arguments(words)
    assert ended.value.code == 2
    sentence = capsys.readouterr().err
    assert f'GPUS is {processes}, and this machine has {devices}' in sentence
    assert 'CUDA_VISIBLE_DEVICES=' in sentence
