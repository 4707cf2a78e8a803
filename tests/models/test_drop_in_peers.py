"""Adapters of PEFT, accelerate's offloading and Lightning: SwinGAB beside the stock Swin."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import ROOT

PEERS = Path(sys.prefix) / 'peers'
PROGRAM = 'tests.models.drop_in_peers_program'
USES = (
    'LoRA',
    'LoRA with a bias',
    'LoRA of all layers, biases trained',
    'DoRA',
    'IA3',
    'IA3 on inputs',
    'LoHa',
    'LoKr',
    'VeRA',
    'OFT',
    'BOFT',
    'accelerate, prepare',
    'accelerate, offload to memory',
    'accelerate, offload to disk',
    'Lightning',
)
pytestmark = pytest.mark.skipif(
    not PEERS.exists(), reason=f'needs requirements/peers.txt in {PEERS}, as make setup does'
)


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    path = tmp_path_factory.mktemp('peers') / 'results.json'
    # Without what a launcher has left behind, or a test that acts as one.
    environment = {key: value for key, value in os.environ.items() if 'RANK' not in key}
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', PROGRAM, path],
        env={**environment, 'PYTHONPATH': str(PEERS)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(path.read_text())


@pytest.mark.parametrize('use', USES)
def test_swingab_gives_what_the_stock_swin_gives(use, results):
    expected, found = results[use]
    assert isinstance(expected, list), f'the stock Swin fails: {expected}'
    assert found == pytest.approx(expected, rel=1e-4)


def test_every_use_of_the_program_is_a_row(results):
    assert set(results) == set(USES)
