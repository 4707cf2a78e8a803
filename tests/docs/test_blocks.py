"""Python blocks of the README and of docs/ run as they stand; other blocks can be read."""

import json
import subprocess
import sys
from itertools import pairwise

import pytest
from mmengine.config import Config

from ..cli.runs import SEGMENTATION, options
from ..conftest import ROOT, run_tool
from .blocks import PAGES, blocks_of, commands_of

PYTHON = [page for page in PAGES if any(block.language == 'python' for block in blocks_of(page))]
# Their blocks make a project of files: tests/docs/test_train_your_own.py and
# tests/cli/test_adding_a_method.py run them.
PROJECTS = ('train_detection.md', 'train_segmentation.md', 'adding_a_method.md')
# Shell commands between Python blocks that later blocks need.
RUN = [('plain_pytorch.md', 'mmgab')]


def ids(page):
    return page.name


@pytest.fixture(scope='module')
def names(nuclei, tmp_path_factory):
    """What the placeholders of the pages stand for: a config, its checkpoint, an image."""
    work_dir = tmp_path_factory.mktemp('documented')
    run_tool(
        'tools/train.py', 'configs/upernet_swin_gab_nuclei.py', '--work-dir', work_dir,
        *options(nuclei, SEGMENTATION, 'train_cfg.max_iters=1',
                 'default_hooks.checkpoint.interval=1'),
    )  # fmt: skip
    return {
        'CONFIG': str(work_dir / 'upernet_swin_gab_nuclei.py'),
        'CHECKPOINT': str(work_dir / 'iter_1.pth'),
        'configs/upernet_swin_gab_nuclei.py': str(work_dir / 'upernet_swin_gab_nuclei.py'),
        'image.png': str(next((nuclei / 'images' / 'val').iterdir())),
        'photo.png': str(next((nuclei / 'images' / 'val').iterdir())),
    }


def fill(code, names):
    """Replace the placeholders that stand as whole strings."""
    for name, value in names.items():
        code = code.replace(f"'{name}'", repr(value))
    return code


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('page', [p for p in PYTHON if p.name not in PROJECTS], ids=ids)
def test_python_blocks_run(page, names, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {'__name__': 'documented'}
    for block in blocks_of(page):
        if block.language == 'python':
            code = compile(fill(block.text, names), str(block), 'exec')
            capsys.readouterr()
            exec(code, namespace)
            check_output(block, capsys.readouterr().out)
        elif block.language == 'bash':
            for words in commands_of(block):
                if (page.name, words[0]) in RUN:
                    subprocess.run([sys.executable, '-m', *words], check=True)


def check_output(block, output):
    """Comments below a ``print`` say what it prints."""
    lines = block.text.splitlines()
    for line, comment in pairwise(lines):
        if line.startswith('print(') and comment.startswith('# '):
            assert comment[2:] in output.splitlines(), f'{block} printed {output}'


@pytest.mark.parametrize('page', PAGES, ids=ids)
def test_blocks_have_a_language_and_can_be_read(page):
    for block in blocks_of(page):
        assert block.language in ('bash', 'bibtex', 'json', 'python', 'text'), str(block)
        if block.language == 'json':
            json.loads(block.text)
        if block.language == 'python':
            compile(block.text, str(block), 'exec')


def test_pages_are_found():
    assert len(PAGES) > 15
    assert len(PYTHON) > 5
    assert Config.fromfile(ROOT / 'configs' / 'upernet_swin_gab_nuclei.py')
