"""Models trained with the Gaussian and folded have the same results in the stock toolboxes.

The stock tools are the scripts that MMDetection and MMSegmentation install with their packages.
"""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import mmdet.registry
import mmseg.registry
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from pycocotools import mask as coco_mask

from mmgab.engine import load_config

from ..conftest import ROOT, run_tool
from .runs import DETECTION, SEGMENTATION, options

pytestmark = pytest.mark.process

# All candidates: after a few iterations, few scores are above the usual threshold.
ALL_BOXES = ('model.test_cfg.rcnn.score_thr=0.0',)


def stock_config(name, settings, nuclei, folder, *more):
    """Write the config with the stock backbone instead of mmgab's."""
    words = [word.partition('=') for word in options(nuclei, settings, *more)[1:]]
    config = load_config(str(ROOT / 'configs' / f'{name}.py'))
    config.merge_from_dict({key: _value(value) for key, _, value in words})
    backbone = config.model.backbone
    backbone.type = 'SwinTransformer'
    backbone.pop('gab_cfg')
    config.pop('custom_hooks')
    config.default_hooks.checkpoint.type = 'CheckpointHook'
    path = folder / 'stock.py'
    config.dump(path)
    assert 'mmgab' not in path.read_text()
    return path


def _value(text):
    try:
        return eval(text, {})
    except (SyntaxError, NameError):
        return text


def fold(checkpoint, project, folder):
    output = run_tool(
        'tools/model_converters/convert.py', 'fold', checkpoint, '--to', project,
        '-o', folder / 'folded.pth',
    )  # fmt: skip
    assert f'in {project} layout' in output
    return folder / 'folded.pth'


def run_stock(package, config, checkpoint, work_dir, out):
    tool = Path(package.__file__).parent / '.mim' / 'tools' / 'test.py'
    done = subprocess.run(
        [
            *(sys.executable, '-W', 'ignore', tool, config, checkpoint),
            *('--work-dir', work_dir, '--out', out),
        ],
        capture_output=True,
        text=True,
        cwd=work_dir,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(next(work_dir.glob('*/*.json')).read_text())


def run_ours(name, checkpoint, nuclei, settings, work_dir, out, *more):
    run_tool(
        'tools/test.py', f'configs/{name}.py', checkpoint, '--work-dir', work_dir, '--out', out,
        *options(nuclei, settings, *more),
    )  # fmt: skip
    return json.loads((work_dir / 'results.json').read_text())['metrics']


def assert_loads_strictly(package, config, checkpoint):
    config = Config.fromfile(config)
    with DefaultScope.overwrite_default_scope(package.__name__):
        model = package.registry.MODELS.build(config.model)
    assert type(model.backbone).__module__.startswith(package.__name__)
    tensors = torch.load(checkpoint, weights_only=True)['state_dict']
    model.load_state_dict(tensors, strict=True)


def assert_metrics_agree(ours, theirs):
    assert ours
    for metric, value in ours.items():
        assert theirs[metric] == pytest.approx(value, abs=1e-3), metric


def test_folded_mask_rcnn_has_the_same_results_in_stock_mmdet(nuclei, detector, tmp_path):
    name, checkpoint = 'mask_rcnn_swin_gab_nuclei', detector / 'epoch_1.pth'
    (tmp_path / 'stock').mkdir()
    (tmp_path / 'ours').mkdir()
    folded = fold(checkpoint, 'mmdet', tmp_path)
    config = stock_config(name, DETECTION, nuclei, tmp_path, *ALL_BOXES)
    assert_loads_strictly(mmdet, config, folded)
    outs = [tmp_path / side / 'out.pkl' for side in ('ours', 'stock')]
    metrics = run_ours(name, checkpoint, nuclei, DETECTION, tmp_path / 'ours', outs[0], *ALL_BOXES)
    assert_metrics_agree(metrics, run_stock(mmdet, config, folded, tmp_path / 'stock', outs[1]))
    ours, theirs = (pickle.loads(out.read_bytes()) for out in outs)
    assert len(ours) == len(theirs) == 4
    for a, b in zip(ours, theirs, strict=True):
        a, b = a['pred_instances'], b['pred_instances']
        assert len(a['scores']) == len(b['scores']) > 50
        torch.testing.assert_close(a['scores'], b['scores'], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(a['bboxes'], b['bboxes'], atol=1e-2, rtol=1e-4)
        # Rounding moves probabilities at 0.5 to the other side: 1 of 5.9 million pixels.
        ours_masks, their_masks = (coco_mask.decode(one['masks']) for one in (a, b))
        assert (ours_masks != their_masks).mean() < 1e-5


def test_folded_upernet_has_the_same_results_in_stock_mmseg(
    nuclei, segmentor, tested_segmentor, tmp_path
):
    (tmp_path / 'stock').mkdir()
    folded = fold(segmentor / 'iter_3.pth', 'mmseg', tmp_path)
    config = stock_config('upernet_swin_gab_nuclei', SEGMENTATION, nuclei, tmp_path)
    assert_loads_strictly(mmseg, config, folded)
    ours = json.loads((tested_segmentor / 'results.json').read_text())['metrics']
    out = tmp_path / 'stock' / 'maps'
    assert_metrics_agree(ours, run_stock(mmseg, config, folded, tmp_path / 'stock', out))
    maps, stock_maps = (sorted(folder.glob('*.png')) for folder in (tested_segmentor / 'maps', out))
    assert [p.name for p in maps] == [p.name for p in stock_maps]
    assert len(maps) == 4
    for a, b in zip(maps, stock_maps, strict=True):
        assert (np.asarray(Image.open(a)) == np.asarray(Image.open(b))).mean() > 0.9999
