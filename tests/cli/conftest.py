"""Models shared by tests of the commands; each is trained once, in a subprocess."""

import pytest

from ..conftest import run_tool
from .runs import DETECTION, SEGMENTATION, options, train


@pytest.fixture(scope='session')
def detector(nuclei, tmp_path_factory):
    """A detector trained for one epoch of two iterations; returns its work dir."""
    length = ('train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=1')
    work_dir = tmp_path_factory.mktemp('detector')
    return train(work_dir, 'mask_rcnn_swin_gab_nuclei', nuclei, DETECTION, *length)


@pytest.fixture(scope='session')
def segmentor(nuclei, tmp_path_factory):
    """A segmentor trained for three iterations; returns its work dir."""
    length = ('train_cfg.max_iters=3', 'default_hooks.checkpoint.interval=3')
    work_dir = tmp_path_factory.mktemp('segmentor')
    return train(work_dir, 'upernet_swin_gab_nuclei', nuclei, SEGMENTATION, *length)


@pytest.fixture(scope='session')
def tested_segmentor(nuclei, segmentor, tmp_path_factory):
    """Test the segmentor; returns the work dir with results.json and the label maps."""
    work_dir = tmp_path_factory.mktemp('tested')
    run_tool(
        'tools/test.py', 'configs/upernet_swin_gab_nuclei.py', segmentor / 'iter_3.pth',
        '--work-dir', work_dir, '--out', work_dir / 'maps', *options(nuclei, SEGMENTATION),
    )  # fmt: skip
    return work_dir
