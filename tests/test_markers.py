"""Markers say what a test costs: `make test-fast` leaves tests out by them."""

import ast

import pytest

from .conftest import ROOT

STARTERS = {
    'end_at', 'multiprocessing', 'run_tool', 'start', 'start_together', 'start_tool', 'subprocess',
    'train', 'train_together',
}  # fmt: skip


def imported(tree):
    """Last names of all that a module imports."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {alias.name for node in nodes for alias in node.names}


@pytest.mark.parametrize(
    'path',
    sorted((ROOT / 'tests').glob('**/test_*.py')),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_module_that_can_start_processes_marks_the_tests_that_do(path):
    source = path.read_text()
    starters = STARTERS & imported(ast.parse(source))
    assert not starters or 'pytest.mark.process' in source, f'{starters} start processes'
