"""What several tests share: small models, folders, and commands run as users run them."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import mmengine
import pytest
import torch
from hypothesis import settings
from mmengine.logging import MMLogger

from tools.dataset_converters import nuclei as nuclei_converter

ROOT = Path(__file__).resolve().parent.parent
# OpenMMLab's own line, as `make test-openmmlab` has it: its last MMEngine has defects that stay.
IS_ORIGINAL = mmengine.__version__ == '0.10.7'

# Where several processes run tests, each has its share of the cores, and so have its own.
if 'PYTEST_XDIST_WORKER_COUNT' in os.environ:
    share = max(1, len(os.sched_getaffinity(0)) // int(os.environ['PYTEST_XDIST_WORKER_COUNT']))
    torch.set_num_threads(share)
    os.environ['OMP_NUM_THREADS'] = str(share)

# Triton's kernels run in its interpreter where there is no GPU.
if not torch.cuda.is_available():
    os.environ.setdefault('TRITON_INTERPRET', '1')

# A test that does not say itself how much it tries; `make test-faults` takes the long one.
settings.register_profile('short', max_examples=30, deadline=None, derandomize=True)
settings.register_profile('long', max_examples=600, deadline=None)
settings.load_profile('short')

# A small Swin whose every stage has a plain and a shifted block, and heads of 8 channels.
SMALL = dict(embed_dims=16, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16), window_size=7)


def pytest_collection_modifyitems(items):
    """Begin with the modules that take long: of what comes last, processes share small pieces."""

    def rank(path):
        marks = {mark.name for item in of_module[path] for mark in item.iter_markers()}
        return ('process' not in marks, 'slow' not in marks)

    of_module = {}
    for item in items:
        of_module.setdefault(item.path, []).append(item)
    ranks = {path: rank(path) for path in of_module}
    items.sort(key=lambda item: ranks[item.path])


def pytest_collection_finish():
    """Take what was imported out of the garbage collector's sight.

    MMEngine's data sets collect garbage when they are built: a third of a second each time else.
    """
    gc.freeze()


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_log():
    """MMEngine's logger, which lasts, has the closed file of a test's run: others would write."""
    yield
    MMLogger._instance_dict.clear()


@pytest.fixture
def small_swin():
    """Arguments of a small Swin; a new dict for each test."""
    return dict(SMALL)


@pytest.fixture(scope='session')
def nuclei(tmp_path_factory):
    """The nuclei data set, made by its own tool."""
    out = tmp_path_factory.mktemp('data') / 'nuclei'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', ['nuclei.py', '-o', str(out)])
        nuclei_converter.main()
    return out


def run_tool(*words, cwd=ROOT, env=None, timeout=300):
    """Run a Python tool, module or shell script of the repository; returns its whole output.

    Raises AssertionError with that output if it fails.
    """
    done = start_tool(*words, cwd=cwd, env=env, timeout=timeout)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def start_tool(*words, cwd=ROOT, env=None, timeout=300):
    """Like run_tool, for commands that may fail."""
    first = str(ROOT / words[0])
    python = [sys.executable, '-W', 'ignore']
    if first.endswith('.sh'):
        command = [first]
    else:
        command = [*python, first] if first.endswith('.py') else [*python, '-m', words[0]]
    # The scripts call `python`: the one that runs the tests.
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    return subprocess.run(
        [*command, *map(str, words[1:])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env={**os.environ, 'PATH': path, **(env or {})},
        timeout=timeout,
    )
