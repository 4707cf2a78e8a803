"""``mmgab COMMAND`` and the equivalent scripts of tools/: help, usage errors and user errors."""

import importlib
import os
import statistics
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import pytest

from mmgab.cli.commands import COMMANDS, main
from mmgab.cli.mistakes import CommandError, exit_code_of

from ..conftest import ROOT
from .runs import call

CONFIG = 'mmgab::upernet_swin_gab_nuclei.py'
# Arguments of each command with files that do not exist.
MISSING = {
    'train': ('nowhere.py',),
    'test': ('nowhere.py', 'nowhere.pth'),
    'check': ('nowhere.py',),
    'report': ('nowhere', '-o', 'out.html'),
    'erf': ('nowhere.py', '--images', 'noise'),
    'compare': ('nowhere.npz', '--out', 'out'),
    'gaussians': ('nowhere.pth', '--out', 'out'),
    'attention': ('nowhere.py', '--images', 'noise'),
    'export': ('nowhere.py', 'nowhere.pth', '--out', 'out.onnx'),
    'fold': ('nowhere.pth', '--to', 'mmdet', '-o', 'out.pth'),
    'unfold': ('nowhere.pth', '-o', 'out.pth'),
    'import': ('nowhere.pth', '-o', 'out.pth'),
    'inspect': ('nowhere.pth',),
    'publish': ('nowhere.pth',),
}
WITH_CONFIG = [name for name, words in MISSING.items() if words[0] == 'nowhere.py']
every_command = pytest.mark.parametrize('name', COMMANDS)
every_reader = pytest.mark.parametrize('name', MISSING)


@pytest.fixture
def mmgab(capsys, monkeypatch, tmp_path):
    """Run ``mmgab`` in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        try:
            code = main(words)
        except SystemExit as exit:
            code = exit.code
        return code, *capsys.readouterr()

    return run


def arguments(help):
    """Return the part of a help text below the description."""
    starts = [help.find(title) for title in ('positional arguments:', 'options:')]
    return help[min(start for start in starts if start >= 0) :]


@every_command
def test_command_has_help_and_is_listed(name, mmgab):
    code, output, _ = mmgab(name, '--help')
    assert code == 0
    assert output.startswith(f'usage: mmgab {name} ')
    assert f'    mmgab {name} ' in output or f'  mmgab {name} ' in output
    assert '--debug' in output
    assert f'\n    {name}' in mmgab('--help')[1]


@every_reader
def test_script_has_the_arguments_of_its_command(name, mmgab, capsys, monkeypatch):
    _, help, _ = mmgab(name, '--help')
    script, *command = COMMANDS[name].script.split()
    assert (ROOT / script).is_file()
    code, output = call(script, (*command, '--help'), capsys, monkeypatch)
    assert code == 0
    assert arguments(output) == arguments(help)
    assert f'python {" ".join([script, *command])} ' in output


@every_reader
def test_missing_file_prints_one_message_and_writes_nothing(name, mmgab, tmp_path):
    code, _, errors = mmgab(name, *MISSING[name])
    assert code == 2
    (message,) = errors.splitlines()
    assert message.startswith('error: ')
    assert 'nowhere' in message
    assert not list(tmp_path.iterdir())


@every_reader
def test_debug_prints_traceback_before_the_message(name, mmgab):
    _, _, message = mmgab(name, *MISSING[name])
    code, _, errors = mmgab(name, *MISSING[name], '--debug')
    assert code == 2
    assert errors.startswith('Traceback ')
    assert errors.endswith(f'\n{message}')


@pytest.mark.parametrize('name', WITH_CONFIG)
def test_unknown_config_key_prints_one_message(name, mmgab, tmp_path):
    words = (name, CONFIG, *MISSING[name][1:], '--cfg-options', 'model.backbone.depht=1')
    code, _, errors = mmgab(*words)
    assert code == 2
    (message,) = errors.splitlines()
    assert 'the nearest key is model.backbone.depth' in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', WITH_CONFIG)
@pytest.mark.parametrize('option', ['model', '=1', 'a=(1,2', 'a=[1,(2]'])
def test_malformed_cfg_option_is_a_usage_error(name, option, mmgab):
    code, _, errors = mmgab(name, *MISSING[name], '--cfg-options', option)
    assert code == 2
    assert f'mmgab {name}: error: argument --cfg-options: ' in errors.splitlines()[-1]


@every_command
def test_unknown_flag_is_a_usage_error_of_the_command(name, mmgab):
    predict = ('nowhere.py', 'nowhere.pth', 'nowhere.png', '-o', 'out')
    words = predict if name == 'predict' else MISSING.get(name, ())
    code, _, errors = mmgab(name, *words, '--no-such-flag')
    assert code == 2
    assert errors.splitlines()[-1] == f'mmgab {name}: error: unrecognized arguments: --no-such-flag'


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('erf', CONFIG, '--images', 'nowhere'), '--images nowhere: the folder does not exist'),
        (('attention', CONFIG, '--images', 'noise', '--num', '0'), '--num must be at least 1'),
        (('erf', CONFIG, 'nowhere.pth', '--images', 'noise'), 'checkpoint nowhere.pth does not'),
        (('export', CONFIG, 'nowhere.pth', '--out', 'a.onnx'), 'checkpoint nowhere.pth does not'),
        (('test', CONFIG, 'nowhere.pth'), 'checkpoint nowhere.pth does not'),
        (('train', CONFIG, '--resume', 'nowhere.pth'), 'checkpoint nowhere.pth does not'),
    ],
)
def test_arguments_are_checked_before_models_are_built(
    words, message, mmgab, tmp_path, monkeypatch
):
    monkeypatch.setattr('mmengine.registry.MODELS.build', None)
    code, _, errors = mmgab(*words)
    assert code == 2
    assert errors.startswith(f'error: {message}')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('words', 'message'), [((), 'COMMAND'), (('trian',), "'trian'")])
def test_missing_or_unknown_command_is_a_usage_error(words, message, mmgab):
    code, _, errors = mmgab(*words)
    assert code == 2
    assert message in errors.splitlines()[-1]


def test_error_in_user_config_keeps_traceback(mmgab, tmp_path):
    (tmp_path / 'mine.py').write_text("raise ValueError('mine')\n")
    with pytest.raises(ValueError, match='mine'):
        mmgab('train', 'mine.py')


def test_error_in_user_module_keeps_traceback(mmgab, tmp_path, monkeypatch):
    (tmp_path / 'a_module_of_mine.py').write_text("open('nowhere')\n")
    (tmp_path / 'mine.py').write_text("custom_imports = dict(imports=['a_module_of_mine'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(FileNotFoundError):
        mmgab('train', 'mine.py')


def raises(error, module, function='read'):
    """Return a function that raises an error, defined in a given module."""
    namespace = dict(__name__=module, error=error)
    exec(f'def {function}():\n    raise error', namespace)
    return namespace[function]


@pytest.mark.parametrize(
    ('error', 'code', 'message'),
    [
        (ValueError('it is 3'), 2, 'error: it is 3\n'),
        (
            KeyError('a is in no registry'),
            2,
            'error: a is in no registry (KeyError; add --debug for the traceback)\n',
        ),
        (
            TypeError('no argument a'),
            2,
            'error: no argument a (TypeError; add --debug for the traceback)\n',
        ),
        (CommandError('it is over', 7), 7, 'error: it is over\n'),
        (ValueError(), 2, 'error: ValueError\n'),
    ],
)
def test_user_error_has_message_and_exit_code(error, code, message, capsys):
    assert exit_code_of(raises(error, 'mmgab.engine'), debug=False) == code
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(
    'command',
    [
        raises(RuntimeError('CUDA'), 'mmgab.engine'),
        raises(ValueError('of a hook'), 'my_hooks'),
        raises(OSError('disk is full'), 'mmengine.runner.loops', 'run'),
        raises(ImportError('defect', name='mmgab.gone'), 'mmgab.cli.train'),
    ],
    ids=['another type', 'own code', 'in training', 'own import'],
)
def test_other_errors_are_raised(command):
    with pytest.raises(Exception):  # noqa: B017, PT011  whatever it is
        exit_code_of(command, debug=False)


def test_missing_library_error_has_install_command(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmseg', None)
    monkeypatch.delitem(sys.modules, 'mmseg.apis', raising=False)
    assert exit_code_of(partial(importlib.import_module, 'mmseg.apis'), debug=False) == 2
    message = capsys.readouterr().err
    assert 'mmseg' in message
    assert 'pip install --no-build-isolation onedl-mmsegmentation==' in message


@pytest.mark.process
def test_help_takes_less_than_half_a_second_of_cpu_time():
    """CPU time of the process, as wall time depends on the load of the machine."""
    seconds = []
    for _ in range(5):
        command = [sys.executable, '-m', 'mmgab', '--help']
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(usage.ru_utime + usage.ru_stime)
    assert statistics.median(seconds) < 0.5


@pytest.mark.parametrize(
    ('line', 'flag'), [('mmgab inspect --sh', '--sha256'), ('mmgab train --res', '--resume')]
)
def test_shell_completion_uses_the_parser_of_the_command(line, flag, mmgab, monkeypatch):
    """With a stub of argcomplete, which exits the process after printing the completions."""
    given = []

    def autocomplete(parser):
        given.append(parser.format_help())
        (commands,) = (action for action in parser._actions if action.choices)
        given.append(commands.choices[line.split()[1]].format_help())
        raise SystemExit(0)

    monkeypatch.setitem(sys.modules, 'argcomplete', SimpleNamespace(autocomplete=autocomplete))
    monkeypatch.setenv('COMP_LINE', line)
    assert mmgab()[0] == 0
    assert 'doctor' in given[0]
    assert flag in given[1]
