"""Messages in docs/troubleshooting.md exist in the code that raises them."""

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from ..conftest import ROOT

PAGE = (ROOT / 'docs' / 'troubleshooting.md').read_text()
ENTRIES = dict(re.findall(r'^### ([^\n]+)\n(.*?)(?=^##|\Z)', PAGE, re.MULTILINE | re.DOTALL))
# Messages without Python source to search, with the reason.
BUILT_IN = {
    "No module named 'mmcv._ext'": 'raised by the interpreter (importlib)',
    "No module named 'pkg_resources'": 'raised by the interpreter (importlib)',
    'CUDA out of memory. Tried to allocate ...': "raised by torch's allocator in C++",
}


@cache
def messages_in(file):
    """Return the strings of a module; placeholders of f-strings and ``{}`` become ``...``."""
    tree = ast.parse(Path(file).read_text())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for joined in found for part in joined.values}
    texts = [
        ''.join(p.value if isinstance(p, ast.Constant) else '...' for p in joined.values)
        for joined in found
    ]
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            texts.append(re.sub(r'{\w*}', '...', node.value))
    return [' '.join(text.split()) for text in texts]


def files_of(entry):
    """Return the files with the messages of an entry: another package's module, or mmgab."""
    module = re.search(r'^Message of `([\w.]+)`', entry, re.MULTILINE)
    if module is None:
        return [file for name in ('mmgab', 'tools') for file in (ROOT / name).rglob('*.py')]
    if find_spec(module[1].partition('.')[0]) is None:
        pytest.skip(f'{module[1]} is not installed')
    return [find_spec(module[1]).origin]


def is_message(line, files):
    """Check whether one string has the parts of a line, in this order."""
    parts = (re.escape(part.strip()) for part in line.split('...'))
    pattern = re.compile('.*'.join(parts))
    return any(pattern.search(text) for file in files for text in messages_in(file))


@pytest.mark.parametrize('name', ENTRIES)
def test_message_is_in_the_source(name):
    entry = ENTRIES[name]
    block = re.search(r'^```text\n(.+?)^```$', entry, re.MULTILINE | re.DOTALL)
    assert block, 'the entry has no message'
    for line in block[1].splitlines():
        assert len(line.replace('...', '').strip()) >= 14, f'{line!r} is not distinctive'
        assert line in BUILT_IN or is_message(line, files_of(entry)), f'not found: {line}'


@pytest.mark.parametrize('name', ENTRIES)
def test_entry_has_cause_and_fix(name):
    assert re.search(r'^\*\*Cause\.\*\* .+^\*\*Fix\.\*\* ', ENTRIES[name], re.MULTILINE | re.DOTALL)


def test_page_has_twenty_entries():
    assert len(ENTRIES) >= 20


def test_altered_message_is_not_found():
    files = files_of('')
    assert is_message('config ... does not exist (looked for ...)', files)
    assert not is_message('config ... is missing (looked for ...)', files)
