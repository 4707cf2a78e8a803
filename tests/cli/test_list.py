"""``mmgab list``: filters, table, JSON, and what it imports."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from mmgab.cli.commands import main

from ..conftest import ROOT

NAMES = {path.stem for path in (ROOT / 'configs').glob('*.py')}
COCO = {name for name in NAMES if '_coco' in name}


@pytest.fixture
def listed(capsys):
    """Run ``mmgab list``; returns exit code, output and errors."""

    def run(*words):
        try:
            code = main(['list', *words])
        except SystemExit as exit:
            code = exit.code
        return code, *capsys.readouterr()

    return run


def names_in(output):
    """Return the names of configs at the beginning of lines."""
    return {line.split()[0] for line in output.splitlines() if line} & NAMES


def test_table_has_every_config_and_fits_120_columns(listed):
    code, output, _ = listed()
    assert code == 0
    assert names_in(output) == NAMES
    assert max(map(len, output.splitlines())) <= 120
    counts = re.findall(r'^(\w+): (\d+) configs$', output, re.MULTILINE)
    assert [task for task, _ in counts] == ['detection', 'segmentation', 'classification']
    assert sum(int(count) for _, count in counts) == len(NAMES)


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (('--task', 'segmentation'), {name for name in NAMES if name.startswith('upernet')}),
        (('--task', 'detection'), {name for name in NAMES if 'rcnn' in name or 'retina' in name}),
        (('--data', 'coco'), COCO),
        (('--backbone', 'swin-s'), {name for name in NAMES if 'swin_s' in name}),
        (('--backbone', 'Swin-S', '--data', 'coco'), {n for n in COCO if 'swin_s' in n}),
        (('--backbone', 'vit'), {name for name in NAMES if 'vit' in name}),
        (('--backbone', 'swin-custom'), {n for n in NAMES if 'swin' in n and 'nuclei' in n}),
        (('--task', 'detection', '--data', 'nuclei', '--backbone', 'vit'),
         {'mask_rcnn_vit_nuclei', 'mask_rcnn_vit_gab_nuclei'}),
    ],
)  # fmt: skip
def test_filters_select_configs(words, expected, listed):
    assert names_in(listed(*words)[1]) == expected
    found = json.loads(listed(*words, '--json')[1])
    assert {config['name'] for config in found} == expected


def test_no_match_is_reported(listed):
    words = ('--task', 'classification', '--data', 'coco')
    code, output, _ = listed(*words)
    assert code == 0
    assert output.startswith('No config matches all filters.')
    assert json.loads(listed(*words, '--json')[1]) == []


@pytest.mark.parametrize(
    ('words', 'allowed'),
    [
        (('--task', 'tracking'), ['detection', 'segmentation', 'classification']),
        (('--data', 'voc'), ['coco', 'ade20k', 'nuclei']),
        (('--backbone', 'swin-x'), ['swin', 'swin-s', 'vit', 'vit-b']),
        (('--backbone', 'win'), ['swin', 'swin-s', 'vit', 'vit-b']),
    ],
)
def test_unknown_value_lists_the_allowed_ones(words, allowed, listed):
    code, output, errors = listed(*words)
    assert (code, output) == (2, '')
    message = errors.splitlines()[-1]
    assert words[0] in message
    assert words[1] in message
    assert set(allowed) <= set(re.split(r"[ ,'()]+", message))


def test_json_has_the_numbers_of_the_metafile(listed):
    entries = yaml.safe_load((ROOT / 'configs' / 'metafile.yml').read_text())['Models']
    found = {config['name']: config for config in json.loads(listed('--json')[1])}
    assert set(found) == NAMES
    for entry in entries:
        config, facts = found[entry['Name']], entry['Metadata']
        assert config['config'] == f'mmgab::{entry["Name"]}.py'
        assert config['parameters'] == facts['Parameters']
        assert config['flops'] == facts['FLOPs']
        assert config['backbone'] == facts['Backbone']
        assert [score['metrics'] for score in config['reported']] == [
            score['Metrics'] for score in entry.get('Reported', [])
        ]


@pytest.mark.parametrize(
    ('name', 'score', 'source'),
    [
        ('mask_rcnn_swin_s_gab_coco', 'box AP 48.23',
         'reported by arXiv 2305.04722, not re-run here'),
        ('mask_rcnn_swin_s_coco', 'box AP 48.2, mask AP 43.2',
         "reported by MMDetection's model zoo, not re-run here"),
        ('upernet_swin_gab_nuclei', 'mIoU 0.905', 'measured in this project'),
    ],
)  # fmt: skip
def test_score_refers_to_its_source(name, score, source, listed):
    output = listed()[1]
    (number,) = re.findall(rf'^{name} .* {re.escape(score)} \[(\d+)\]$', output, re.MULTILINE)
    assert f'\n[{number}] {source}\n' in output


@pytest.mark.process
def test_list_imports_neither_torch_nor_mmengine_and_is_fast():
    """CPU time of the process, as wall time depends on the load of the machine."""
    code = """
import sys, time
from mmgab.cli.commands import main
main(['list'])
print(*sorted({'torch', 'mmengine', 'numpy'} & set(sys.modules)))
print(time.process_time())
"""
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *_, heavy, seconds = done.stdout.split('\n')[:-1]
    assert heavy == ''
    assert float(seconds) < 0.5
