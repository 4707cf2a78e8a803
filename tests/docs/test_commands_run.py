"""Commands of the README and of docs/ run as they stand, on small data and small networks.

``make test-docs``. What is not run is in NOT_RUN with its reason, or on a page of which another
test runs every block.
"""

import re

import pytest

from ..conftest import ROOT
from .blocks import PAGES, blocks_of, commands_of
from .sandbox import Sandbox

pytestmark = [pytest.mark.long, pytest.mark.process]

# Tests that run every block of a page, in order.
RUN_ELSEWHERE = {
    'adding_a_method.md': 'tests/cli/test_adding_a_method.py',
    'train_detection.md': 'tests/docs/test_train_your_own.py',
    'train_segmentation.md': 'tests/docs/test_train_your_own.py',
}
NOT_RUN = {
    r'apt-get |pip |make setup|\. \.venv|cd mmgab|nvcc|git ': 'changes the installation',
    r'make (demo|test|test-fast|check|docs)$': 'what CI itself runs',
    r'make (study|erf-study)$|python -m tests\.faults': 'takes 20 minutes to hours',
    r'python -m projects\.benchmark': 'measures time; tests/projects runs it with small settings',
    r'python \.\.\./mmdeploy': 'MMDeploy does not install with this PyTorch',
    r'ln -s /my/coco': 'the sandbox has this link',
    r'mmgab predict .* 0 -o': 'needs a camera',
}


def is_run(command):
    return not any(re.match(pattern, command) for pattern in NOT_RUN)


BLOCKS = [
    block
    for page in PAGES
    if page.name not in RUN_ELSEWHERE
    for block in blocks_of(page)
    if block.language == 'bash' and any(is_run(' '.join(c)) for c in commands_of(block))
]


@pytest.fixture(scope='module')
def sandbox(tmp_path_factory):
    return Sandbox(tmp_path_factory.mktemp('sandbox'))


@pytest.mark.parametrize('block', BLOCKS, ids=str)
def test_commands_run(block, sandbox):
    for words in commands_of(block):
        if is_run(' '.join(words)):
            env = [word for word in words if re.match(r'[A-Z_]+=', word)]
            sandbox.run('env', *env, *sandbox.fill(words[len(env) :]))


@pytest.mark.parametrize('pattern', NOT_RUN)
def test_commands_not_run_exist(pattern):
    commands = [
        ' '.join(c) for page in PAGES for b in blocks_of(page) for c in commands_of_shell(b)
    ]
    assert any(re.match(pattern, command) for command in commands)


@pytest.mark.parametrize(('page', 'test'), RUN_ELSEWHERE.items())
def test_pages_run_elsewhere_are_named_there(page, test):
    assert page in (ROOT / test).read_text()


def commands_of_shell(block):
    return commands_of(block) if block.language == 'bash' else ()
