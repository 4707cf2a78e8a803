"""Adapters of PEFT, accelerate's offloading and Lightning: SwinGAB beside the stock Swin."""

import sys
from pathlib import Path

import pytest

from .drop_in_results import results_of

PEERS = Path(sys.prefix) / 'peers'
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
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not PEERS.exists(), reason=f'needs requirements/peers.txt in {PEERS}, as make setup does'
    ),
]


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp('peers')
    return results_of('drop_in_peers_program', folder, PYTHONPATH=str(PEERS))


@pytest.mark.parametrize('use', USES)
def test_peer_library_results_equal_stock_swin(use, results):
    expected, found = results[use]
    assert isinstance(expected, list), f'the stock Swin fails: {expected}'
    assert found == pytest.approx(expected, rel=1e-4)


def test_program_results_match_parametrized_uses(results):
    assert set(results) == set(USES)
