"""Kernels compiled for GPUs that are not here."""

import pytest

from ..conftest import run_tool

pytestmark = [pytest.mark.slow, pytest.mark.process]
pytest.importorskip('triton', reason='Triton is an optional dependency')


def compiled(*words):
    """Compile without the interpreter; returns the table's rows."""
    output = run_tool(
        'projects.benchmark.kernel_resources', *words, env={'TRITON_INTERPRET': '0'}
    )  # fmt: skip
    rows = [line for line in output.splitlines() if line.startswith('| ') and '---' not in line]
    return [[cell.strip() for cell in row.split('|')[1:-1]] for row in rows[1:]]


def test_kernels_spill_no_registers_for_swins_windows():
    rows = compiled()
    assert {tuple(row[:3]) for row in rows} == {
        (kernel, dtype, f'sm_{architecture}')
        for kernel in ('attend', 'attend_backward', 'sum_pairs')
        for dtype in ('float16', 'bfloat16', 'float32')
        for architecture in (80, 86, 89, 90, 100)
    }
    assert {row[4] for row in rows} == {'0'}


@pytest.mark.parametrize('window', [12, 16])
def test_kernels_compile_for_large_windows(window):
    rows = compiled('--window', window, '--dtype', 'float16', '--arch', '80')
    assert len(rows) == 3
    # A program may have at most 163 KB of shared memory there (CUDA's programming guide).
    assert all(int(row[5]) <= 163 * 1024 for row in rows)
