"""A minimal run of the benchmark; the timings are not checked."""

import json

import pytest
from PIL import Image

from ..cli.runs import call
from ..conftest import run_tool

pytestmark = pytest.mark.process

TOOL = 'projects.benchmark'


def test_benchmark_writes_numbers_tables_and_plot(tmp_path):
    output = run_tool(TOOL, '--quick', '--rounds', '1', '--against', 'timm', '--work-dir', tmp_path)
    results = json.loads((tmp_path / 'benchmark.json').read_text())
    assert list(results['inference']['fp32 inference 2x512x512']) == [
        'ours', 'ours, folded', 'ours, off', 'mmdet', 'timm',
    ]  # fmt: skip
    assert {'torch', 'mmdet', 'timm'} <= set(results['versions'])
    for mode in (results['inference'] | results['training']).values():
        assert all(len(row['rounds']) == 1 for row in mode.values())
        assert mode['mmdet']['ratio'] == 1
        assert all(row['seconds'] > 0 for row in mode.values())
    for row in results['counts'].values():
        assert row['saved for backward, fp32'] > 0
        assert row['saved for backward, bf16'] > 0
        assert row['moved, forward'] > 0
        assert row['moving operations, backward'] > 0
    masks = [row['masks of all layers'] for row in results['geometry'].values()]
    assert len(masks) > 1
    assert set(masks) == {4 * 49 * 49 - 49 * 49}
    tables = (tmp_path / 'benchmark.md').read_text()
    assert 'exponent over pixels' in tables
    assert tables.splitlines()[0] in output
    with Image.open(tmp_path / 'benchmark.png') as image:
        assert min(image.size) > 300


def test_section_is_measured_alone_and_merged(tmp_path, capsys, monkeypatch):
    for section in ('geometry', 'counts'):
        words = ('--quick', '--against', 'mmdet', '--only', section, '--work-dir', tmp_path)
        code, output = call(TOOL, words, capsys, monkeypatch)
        assert code is None, output
    results = json.loads((tmp_path / 'benchmark.json').read_text())
    assert {'geometry', 'counts', 'network', 'machine', 'versions'} == set(results)


def test_unknown_library_is_reported(capsys, monkeypatch):
    code, output = call(TOOL, ('--against', 'keras'), capsys, monkeypatch)
    assert code == 2
    assert "invalid choice: 'keras'" in output


def test_growth_is_measured_in_processes_of_their_own():
    sizes = ('--sizes', '64', '96', '--rounds', '1', '--only', 'Swin-S, mmdet')
    lines = run_tool('projects.benchmark.growth', *sizes).splitlines()
    rows = [line for line in lines if line.startswith('| Swin-S, mmdet')]
    assert len(rows) == 2  # inference, training step
    assert all(row.count(' MiB') == 2 for row in rows)
