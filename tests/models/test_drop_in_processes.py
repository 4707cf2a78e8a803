"""Every way of sharing the stock Swin out among processes is one for SwinGAB."""

import pytest

from .drop_in_processes_program import USES
from .drop_in_results import results_of

pytestmark = pytest.mark.process


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    return results_of('drop_in_processes_program', tmp_path_factory.mktemp('processes'))


@pytest.mark.parametrize('use', USES)
def test_distributed_training_equals_stock_swin(use, results):
    expected, found = results[use]
    assert isinstance(expected, list), f'the stock Swin fails: {expected}'
    assert found == pytest.approx(expected, rel=1e-3)
