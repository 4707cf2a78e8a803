"""tools/analysis_tools/erf.py and compare_erf.py on a trained detector."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from mmgab.analysis.erf import load_erf

from ..conftest import ROOT
from .runs import call

pytestmark = pytest.mark.slow

TOOL, COMPARE = 'tools/analysis_tools/erf.py', 'tools/analysis_tools/compare_erf.py'


@pytest.fixture
def trained(detector):
    return detector / 'mask_rcnn_swin_gab_nuclei.py', detector / 'epoch_1.pth'


@pytest.fixture
def erf(trained, capsys, monkeypatch):
    def run(*words, checkpoint=trained[1]):
        given = () if checkpoint is None else (checkpoint,)
        return call(TOOL, (trained[0], *given, '--bootstrap', 5, *words), capsys, monkeypatch)

    return run


def test_detector_is_measured_on_its_validation_set(erf, tmp_path):
    code, output = erf(
        '--images', 'val', '--num', 3, '--size', 96, 128, '--out', tmp_path / 'last', '--layer',
        'backbone.stages.0', '--batch-size', 2,
    )  # fmt: skip
    assert code == 0, output
    fields, meta = load_erf(tmp_path / 'last.npz')
    assert (fields.size, fields.grid, fields.sums[0].count) == ((96, 128), (24, 32), 3)
    assert (meta['layer'], meta['images']) == ('backbone.stages.0', 'val')
    assert len(meta['checkpoint_sha256']) == 64
    results = json.loads((tmp_path / 'last.json').read_text())
    (row,) = results['units']
    assert row['centre'] == [4 * 11.5 - 0.5, 4 * 15.5 - 0.5]
    for name in ('fit_r_squared', 'square_0.5_side', 'r50', 'window_energy'):
        number = row['numbers'][name]
        assert number['low'] <= number['high']
    with Image.open(tmp_path / 'last.png') as image:
        assert min(image.size) > 300
    assert (tmp_path / 'last.pdf').stat().st_size > 1000


def test_compare_plots_initial_and_trained_weights(erf, tmp_path, capsys, monkeypatch):
    common = ('--images', 'noise', '--num', 2, '--size', 64, 64, '--layer', 'backbone.stages.1')
    assert erf(*common, '--out', tmp_path / 'after')[0] == 0
    assert erf(*common, '--out', tmp_path / 'before', checkpoint=None)[0] == 0
    files = (tmp_path / 'before.npz', tmp_path / 'after.npz')
    maps = [load_erf(file)[0].sums[0].mean for file in files]
    assert not np.allclose(*maps)
    code, output = call(COMPARE, (*files, '--out', tmp_path / 'both'), capsys, monkeypatch)
    assert code == 0, output
    for name in ('both.png', 'both_difference.png'):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 300


def test_compare_rejects_different_protocols(erf, tmp_path, capsys, monkeypatch):
    files = [tmp_path / 'gab2023', tmp_path / 'raw']
    for file in files:
        erf('--images', 'noise', '--num', 1, '--size', 64, 64, '--protocol', file.name,
            '--out', file)  # fmt: skip
    words = (*(f'{file}.npz' for file in files), '--out', tmp_path / 'both')
    code, output = call(COMPARE, words, capsys, monkeypatch)
    assert code == 2
    assert 'error: receptive fields of different protocols are not comparable' in output
    assert not (tmp_path / 'both.png').exists()


def test_bf16_erf_is_close_to_fp32(erf, tmp_path):
    common = ('--images', 'noise', '--num', 2, '--size', 64, 64)
    for dtype in ('fp32', 'bf16'):
        assert erf(*common, '--dtype', dtype, '--out', tmp_path / dtype)[0] == 0
    single, half = (load_erf(tmp_path / f'{d}.npz')[0].sums[0].mean for d in ('fp32', 'bf16'))
    assert np.corrcoef(single.ravel(), half.ravel())[0, 1] > 0.95
    assert not np.array_equal(single, half)


def test_untrained_norm_is_reported_and_nothing_is_written(erf, tmp_path):
    words = ('--images', 'noise', '--num', 2, '--size', 64, 64, '--out', tmp_path / 'out')
    _, output = erf(*words, checkpoint=None)
    assert 'the layer ends with a norm that was not trained; measure what comes before' in output
    assert not list(tmp_path.glob('out*'))


def test_unreadable_image_is_reported_and_skipped(erf, tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    Image.effect_noise((80, 70), 60).save(folder / 'a.png')
    (folder / 'b.png').write_bytes(b'no image')
    code, output = erf('--images', folder, '--size', 64, 64, '--out', tmp_path / 'out')
    assert code == 0, output
    assert 'skipped: b.png: unreadable' in output
    about = json.loads((tmp_path / 'out.json').read_text())['about']
    assert list(about['refused']) == ['b.png']
    assert about['refused']['b.png'].startswith('unreadable: failed to load image')


@pytest.mark.parametrize(
    ('words', 'complaint'),
    [
        (
            ('--images', 'noise', '--layer', 'backbone.stage.1'),
            "no layer 'backbone.stage.1'; did you mean",
        ),
        (('--images', 'noise', '--layer', 'roi_head'), "'roi_head' was not called"),
        (('--images', 'noise', '--layer', 'backbone.patch_embed'), 'returns tuple'),
        (('--images', 'noise', '--unit', '40,3'), '(40, 3) is outside of the feature map of 2 x 2'),
        (('--images', 'noise', '--unit', 'middle'), "a unit is 'centre', 'four', 'grid:N'"),
        (('--images', 'nowhere'), '--images nowhere: the folder does not exist'),
        (('--images', 'noise', '--out-index', '7'), 'there is no index 7'),
    ],
)
def test_invalid_arguments_end_with_one_message(erf, tmp_path, words, complaint):
    code, output = erf(*words, '--size', 64, 64, '--num', 1, '--out', tmp_path / 'out')
    assert code == 2
    assert complaint in output
    assert 'Traceback' not in output
    assert not list(tmp_path.glob('out*'))


@pytest.mark.process
def test_interrupted_measurement_is_saved_and_resumed(trained, tmp_path):
    words = (*trained, '--images', 'noise', '--num', '100000', '--size', '64', '64',
             '--bootstrap', '2', '--out', tmp_path / 'out', '--resume')  # fmt: skip
    seen = [0]
    for _ in range(2):
        with (tmp_path / 'log').open('w') as log:
            process = subprocess.Popen(
                [sys.executable, TOOL, *map(str, words)], cwd=ROOT, stderr=log, stdout=log
            )
            deadline = time.monotonic() + 120
            while not re.search(r'\d(image/s|s/image)', (tmp_path / 'log').read_text()):
                assert time.monotonic() < deadline, (tmp_path / 'log').read_text()
                time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        assert 'continue with --resume' in (tmp_path / 'log').read_text()
        seen.append(load_erf(tmp_path / 'out.npz')[0].seen)
    assert 0 < seen[1] < seen[2]


def test_resume_rejects_other_settings(erf, tmp_path):
    common = ('--images', 'noise', '--num', 1, '--size', 64, 64, '--out', tmp_path / 'out')
    erf(*common)
    _, output = erf(*common, '--resume', '--protocol', 'raw')
    assert 'was measured with protocol=gab2023, not raw' in output


def test_cfg_options_with_timm_model_raise(tmp_path, capsys, monkeypatch):
    words = (
        'timm:resnet18',
        '--images',
        'noise',
        '--out',
        tmp_path / 'out',
        '--cfg-options',
        'a=1',
    )
    _, output = call(TOOL, words, capsys, monkeypatch)
    message = '--cfg-options can only be used with a config file, got source timm:resnet18'
    assert output == f'error: {message}\n'
