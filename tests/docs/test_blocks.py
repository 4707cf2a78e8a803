"""Python blocks of the README and of docs/ run as they stand; other blocks can be read."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmgab import SwinGAB

from ..cli.runs import SEGMENTATION, options
from ..conftest import ROOT, run_tool
from .blocks import PAGES, blocks_of, commands_of

PYTHON = [page for page in PAGES if any(block.language == 'python' for block in blocks_of(page))]
# Their blocks make a project of files: tests/docs/test_train_your_own.py and
# tests/cli/test_adding_a_method.py run them.
PROJECTS = ('train_detection.md', 'train_segmentation.md', 'adding_a_method.md')
# Commands between Python blocks whose files later blocks read.
RUN = {
    'plain_pytorch.md': 'mmgab fold swin_gab.pth',
    'checkpoints.md': 'python tools/model_converters/convert.py fold epoch_36.pth',
}
# Not in the environment of the tests: tests/checkpoints/test_peers.py loads a folded file into it.
ELSEWHERE = 'import transformers\n'


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
    save_checkpoints(page)
    namespace = {'__name__': 'documented'}
    for block in blocks_of(page):
        if block.language == 'python':
            run_python(block, fill(block.text, names), namespace, capsys)
        elif block.language == 'bash':
            for words in commands_of(block):
                if ' '.join(words).startswith(RUN.get(page.name, '\0')):
                    run_command(words)


def save_checkpoints(page):
    """Write the checkpoint that a page begins with."""
    if page.name == 'checkpoints.md':
        swin = SwinGAB(depths=(2, 2, 18, 2))
        state = {f'backbone.{name}': value for name, value in swin.state_dict().items()}
        torch.save(dict(state_dict=state), 'epoch_36.pth')


def run_python(block, code, namespace, capsys):
    """Run a block; one that inherits with ``read_base`` as a config file next to its base."""
    if block.text.startswith(ELSEWHERE):
        return
    if 'read_base' in code:
        shutil.copytree(ROOT / 'configs' / 'pure_python', 'pure_python')
        Path('pure_python', 'documented.py').write_text(code)
        Config.fromfile('pure_python/documented.py')
        return
    capsys.readouterr()
    exec(compile(code, str(block), 'exec'), namespace)
    check_output(block, capsys.readouterr().out)


def run_command(words):
    program = [sys.executable, '-W', 'ignore', *(['-m'] if words[0] == 'mmgab' else [])]
    words = words if words[0] == 'mmgab' else [ROOT / words[1], *words[2:]]
    subprocess.run([*program, *map(str, words)], check=True)


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
