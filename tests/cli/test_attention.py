"""tools/analysis_tools/attention_maps.py on a trained detector."""

import json

import numpy as np
import pytest
from PIL import Image

from .runs import call

pytestmark = pytest.mark.process

TOOL = 'tools/analysis_tools/attention_maps.py'
NAME = 'backbone.stages.0.blocks.0.attn.w_msa'


@pytest.fixture
def look(detector, tmp_path, capsys, monkeypatch):
    def run(*words):
        config, checkpoint = detector / 'mask_rcnn_swin_gab_nuclei.py', detector / 'epoch_1.pth'
        given = (config, checkpoint, '--num', 2, '--out', tmp_path / 'seen', *words)
        return call(TOOL, given, capsys, monkeypatch)

    return run


def test_attention_is_plotted_with_and_without_gaussian(look, tmp_path):
    code, output = look('--images', 'val', '--size', 288, 320)
    assert code == 0, output
    rows = json.loads((tmp_path / 'seen.json').read_text())
    assert list(rows) == ['as it is', 'without the Gaussian']
    with np.load(tmp_path / 'seen.npz') as arrays:
        maps = {when: arrays[f'{when}/{NAME}'] for when in rows}
    for when, own in rows.items():
        assert maps[when].shape == (1, 13, 13)
        # The weights of a query sum to one: over offsets, times the number of pairs of each.
        counts = np.outer(*[7 - np.abs(np.arange(-6, 7))] * 2)
        assert (maps[when][0] * counts).sum() == pytest.approx(49)
        assert len(own[NAME]['mean_distance']) == 1
    near, far = (rows[when][NAME]['mean_distance'][0] for when in rows)
    assert near < far  # a Gaussian increases attention to near tokens
    for name in ('seen_layers.png', 'seen_heads.png'):
        with Image.open(tmp_path / name) as image:
            assert min(image.size) > 200


def test_swin_without_gaussians_is_run_once(tmp_path, capsys, monkeypatch):
    words = ('configs/upernet_swin_nuclei.py', '--images', 'noise', '--num', 1, '--size', 448, 448)
    code, output = call(TOOL, (*words, '--out', tmp_path / 'seen'), capsys, monkeypatch)
    assert code == 0, output
    assert list(json.loads((tmp_path / 'seen.json').read_text())) == ['as it is']
    with np.load(tmp_path / 'seen.npz') as arrays:
        assert all(name.startswith('as it is/') for name in arrays)
    assert (tmp_path / 'seen_layers.png').exists()


@pytest.mark.parametrize(
    ('words', 'complaint'),
    [
        (
            ('--images', 'noise', '--size', 64, 64),
            'has no window without padding in images of this size',
        ),
        (('--images', 'nowhere'), '--images nowhere: the folder does not exist'),
    ],
)
def test_invalid_input_ends_with_one_message(look, tmp_path, words, complaint):
    code, output = look(*words)
    assert code == 2
    assert complaint in output
    assert 'Traceback' not in output
    assert not list(tmp_path.glob('seen*'))
