"""Commands in the README and in docs/: programs, flags, files and targets exist."""

import argparse
import re
import subprocess
import sys

import pytest

from mmgab.cli.commands import COMMANDS, main
from mmgab.engine.package_bases import find_config

from ..conftest import ROOT
from .blocks import PAGES, blocks_of, commands_of

SHELL = [block for page in PAGES for block in blocks_of(page) if block.language == 'bash']
SCRIPTS = {command.script: name for name, command in COMMANDS.items()}
TARGETS = set(re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
# Programs of others, of which nothing here can be wrong but the files that they are given.
OTHERS = {'.', 'apt-get', 'cd', 'git', 'nvcc', 'pip', 'curl', 'wget', 'unzip', 'tar', 'export',
          'mkdir', 'ln', 'mim', 'cp', 'mv', 'time'}  # fmt: skip


class Accepted(Exception):
    """The arguments of a command were accepted."""


@pytest.fixture
def accept(monkeypatch, capsys):
    """Parse the arguments of a command of ``mmgab`` without running it."""

    def parse(self, *args, **kwargs):
        found, unknown = parse_known(self, *args, **kwargs)
        if unknown:
            self.error(f'unknown: {unknown}')
        if getattr(found, 'run', None):
            raise Accepted
        return found, unknown

    parse_known = argparse.ArgumentParser.parse_known_args

    def run(words):
        monkeypatch.setattr(argparse.ArgumentParser, 'parse_known_args', parse)
        try:
            main(words)
        except Accepted:
            return ''
        except SystemExit as exit:
            return '' if exit.code == 0 else capsys.readouterr().err
        finally:
            monkeypatch.undo()
        return capsys.readouterr().err or 'was not parsed'

    return run


def strip_environment(words):
    """Drop ``NAME=value`` before a command."""
    while words and re.match(r'\w+=', words[0]):
        words = words[1:]
    return words


def check_files(words):
    """Files of the repository that are named exist."""
    for word in words:
        if re.match(r'(configs|tools|requirements|docs)/[\w/.-]+\.(py|sh|txt|md)$', word):
            assert (ROOT / word).is_file(), f'{word} does not exist'
        if word.startswith('mmgab::'):
            assert find_config(word).is_file(), f'{word} does not exist'


def help_of(module):
    """Return the ``--help`` of a module of the repository."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', *module, '--help'],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_flags(words, help):
    for word in words:
        flag = word.partition('=')[0]
        assert not flag.startswith('--') or flag in help, f'{flag} is not an option'


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize('block', SHELL, ids=str)
def test_commands_are_accepted(block, accept):
    for words in map(strip_environment, commands_of(block)):
        check_files(words)
        program, *arguments = words or ['export']
        if program == 'mmgab':
            assert accept(arguments) == ''
        elif program == 'make':
            targets = [word for word in arguments if '=' not in word]
            assert set(targets) <= TARGETS, f'make {targets}'
        elif program.endswith('.sh'):
            assert (ROOT / program).stat().st_mode & 0o100, f'{program} cannot be executed'
        elif program in ('python', 'python3'):
            check_python(arguments, accept)
        else:
            assert program in OTHERS, f'no test knows {program}'


def check_python(words, accept):
    if words[0].startswith('.../') or words[1] in ('pytest', 'mypy', 'ruff', 'pip', 'venv'):
        return  # of another project
    if words[:2] == ['-m', 'mmgab']:
        assert accept(words[2:]) == ''
    elif words[0] in SCRIPTS:
        assert accept([SCRIPTS[words[0]], *words[1:]]) == ''
    elif ' '.join(words[:2]) in SCRIPTS:
        assert accept([SCRIPTS[' '.join(words[:2])], *words[2:]]) == ''
    else:
        module = words[:2] if words[0] == '-m' else words[:1]
        check_flags(words, help_of(module))
