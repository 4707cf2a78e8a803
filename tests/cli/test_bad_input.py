"""Invalid data, checkpoints and settings end a run with a clear error; no file is lost."""

import shutil

import cv2
import numpy as np
import pytest
import torch

from ..conftest import ROOT, start_tool
from .runs import DETECTION, SEGMENTATION, options

pytestmark = pytest.mark.process

CONFIG = 'configs/upernet_swin_gab_nuclei.py'


def failure(*words, **kwargs):
    """Run a command that must fail; returns the last line of its output."""
    done = start_tool(*words, **kwargs)
    assert done.returncode != 0, done.stdout[-2000:]
    return done.stdout.strip().splitlines()[-1]


def test_missing_data_error_has_path_and_download_docs(tmp_path):
    config = ROOT / 'configs' / 'mask_rcnn_swin_s_gab_coco.py'
    line = failure('tools/train.py', config, cwd=tmp_path)
    assert 'error: train_dataloader: data/coco/ does not exist' in line
    assert 'docs/datasets.md' in line


def test_invalid_label_stops_training_and_lists_its_image(nuclei, tmp_path):
    data = tmp_path / 'nuclei'
    shutil.copytree(nuclei, data)
    for label in (data / 'labels' / 'train').iterdir():
        cv2.imwrite(str(label), np.full((128, 128), 7, np.uint8))
    line = failure(
        'tools/train.py', CONFIG, '--work-dir', tmp_path / 'run', *options(data, SEGMENTATION)
    )
    assert 'ValueError' in line
    assert 'images/train' in line
    assert 'labels from 7 to 7' in line
    assert '2 classes' in line


def test_mismatched_checkpoint_is_not_tested(nuclei, tmp_path):
    weights = {'backbone.stages.0.blocks.0.attn.w_msa.qkv.weight': torch.zeros(3, 3)}
    torch.save(dict(state_dict=weights), tmp_path / 'other.pth')
    line = failure(
        'tools/test.py', CONFIG, tmp_path / 'other.pth', '--work-dir', tmp_path / 'run',
        *options(nuclei, SEGMENTATION),
    )  # fmt: skip
    assert 'other.pth does not fit the model' in line
    assert 'missing key(s)' in line
    assert 'of another shape' in line
    assert not (tmp_path / 'run' / 'results.json').exists()


def test_resuming_from_truncated_checkpoint_raises_and_keeps_file(nuclei, tmp_path):
    torn = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict={}, meta={}), torn)
    content = torn.read_bytes()[:-50]
    torn.write_bytes(content)
    line = failure(
        'tools/train.py', CONFIG, '--work-dir', tmp_path / 'run', '--resume', torn,
        *options(nuclei, SEGMENTATION),
    )  # fmt: skip
    assert 'iter_1.pth cannot be read as a checkpoint' in line
    assert 'truncated' in line
    assert torn.read_bytes() == content


def test_unwritable_work_dir_is_reported_before_training(nuclei, tmp_path):
    (tmp_path / 'file').touch()
    line = failure(
        'tools/train.py', CONFIG, '--work-dir', tmp_path / 'file' / 'run',
        *options(nuclei, SEGMENTATION),
    )  # fmt: skip
    assert 'file/run cannot be written' in line


def test_auto_scale_lr_without_base_batch_size_raises(tmp_path):
    line = failure('tools/train.py', CONFIG, '--work-dir', tmp_path, '--auto-scale-lr')
    assert '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...)' in line


def test_all_processes_exit_before_training_on_mismatched_data(nuclei, tmp_path):
    done = start_tool(
        'tools/dist_train.sh', 'configs/mask_rcnn_swin_gab_nuclei.py', 2,
        '--work-dir', tmp_path / 'run',
        *options(nuclei, DETECTION, 'train_dataloader.dataset.metainfo.classes=nucleus'),
        timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert "classes='nucleus' is a string" in done.stdout
    assert 'Epoch(train)' not in done.stdout
