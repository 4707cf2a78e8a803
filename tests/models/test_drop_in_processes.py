"""Every way of sharing the stock Swin out among processes is one for SwinGAB."""

import json
import subprocess
import sys

import pytest

from ..conftest import ROOT
from .drop_in_processes_program import USES


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp('processes') / 'results.json'
    program = 'tests.models.drop_in_processes_program'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', program, path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(path.read_text())


@pytest.mark.parametrize('use', USES)
def test_a_shared_swingab_trains_as_the_stock_swin_does(use, results):
    expected, found = results[use]
    assert isinstance(expected, list), f'the stock Swin fails: {expected}'
    assert found == pytest.approx(expected, rel=1e-3)
