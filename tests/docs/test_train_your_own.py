"""The pages "Train on your own data": from an empty folder to a prediction, block by block.

The blocks are run as they stand, in order. Only the size of the work is changed, by a second config
in the place of the first, which inherits it: a small network without downloaded weights, few steps.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ..conftest import ROOT
from .blocks import blocks_of, commands_of

pytestmark = [pytest.mark.slow, pytest.mark.process]

SMALL_BACKBONE = dict(
    embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8), init_cfg=None
)  # fmt: skip
SMALL = {
    'train_detection.md': dict(
        model=dict(backbone=SMALL_BACKBONE, neck=dict(in_channels=[16, 32, 64, 128])),
        train_dataloader=dict(dataset=dict(indices=4)),
        default_hooks=dict(logger=dict(interval=1)),
    ),
    'train_segmentation.md': dict(
        model=dict(
            backbone=SMALL_BACKBONE,
            decode_head=dict(in_channels=(16, 32, 64, 128), channels=16),
            auxiliary_head=dict(in_channels=64, channels=16),
        ),
    ),
}
# What a page says about the length of a training, and what is run of it.
SHORTER = [
    ("_base_ = 'mmgab::mask_rcnn_swin_t_gab_coco_1x.py'\n", "_base_ = 'small.py'\n"),
    ("_base_ = 'mmgab::upernet_swin_t_gab_ade20k.py'\n", "_base_ = 'small.py'\n"),
    ('max_iters=20000, val_interval=2000', 'max_iters=2, val_interval=2'),
    ('checkpoint=dict(interval=2000', 'checkpoint=dict(interval=2'),
    ('scale=(512, 512)', 'scale=(128, 128)'),
    ('crop_size=(512, 512)', 'crop_size=(128, 128)'),
    ('indices=8', 'indices=4'),
]
LENGTHS = [('epoch_12.pth', 'epoch_1.pth'), ('iter_20000.pth', 'iter_2.pth'), ('512', '128')]


def write_small_base(folder, page, base):
    """Write ``small.py``: the page's base config with a small network."""
    text = [f"_base_ = '{base}'"]
    text += [f'{name} = {value!r}' for name, value in SMALL[page].items()]
    if page == 'train_detection.md':
        text += [
            "train_cfg = dict(max_epochs=1)", "optim_wrapper = dict(type='OptimWrapper')",
            'for loader in (_base_.train_dataloader, _base_.val_dataloader):',
            "    for step in loader.dataset.pipeline:",
            "        if step.type == 'Resize':",
            '            step.scale = (128, 128)',
            'train_dataloader = {**_base_.train_dataloader, **train_dataloader}',
        ]  # fmt: skip
    (folder / 'small.py').write_text('\n'.join(text) + '\n')


def lay_out_detection(nuclei, data):
    """Put the nuclei into the layout of the page, with labels that are still to be split."""
    for split in ('train', 'val'):
        shutil.copytree(nuclei / 'images' / 'train', data / split)
    labels = nuclei / 'annotations' / 'instances_train.json'
    shutil.copy(labels, data.parents[1] / 'labels.json')


def lay_out_segmentation(nuclei, data):
    for folder in ('images', 'labels'):
        shutil.copytree(nuclei / folder, data / folder)


def run(words, folder):
    """Run a command of the page; returns its output."""
    program = [ROOT / words[1], *words[2:]] if words[0] == 'python' else ['-m', *words]
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', *program], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, f'{words}: {done.stdout[-4000:]}'
    return done.stdout


@pytest.mark.parametrize(
    ('page', 'config', 'lay_out'),
    [
        ('train_detection.md', 'my_detector.py', lay_out_detection),
        ('train_segmentation.md', 'my_segmentor.py', lay_out_segmentation),
    ],
    ids=['detection', 'segmentation'],
)
def test_page_leads_from_folder_to_prediction(page, config, lay_out, nuclei, tmp_path):
    lay_out(nuclei, tmp_path / 'data' / 'my_data')
    outputs = {}
    for block in blocks_of(ROOT / 'docs' / page):
        if block.language == 'python':
            write_config(block.text, page, tmp_path / name_of(block.text, config))
        elif block.language == 'bash':
            for words in map(shortened, commands_of(block)):
                outputs[' '.join(words[1:3])] = run(words, tmp_path)
    assert '0 errors' in outputs[f'check {config}']
    predict = f'mmgab predict {config} work_dirs/{config.removesuffix(".py")}/'
    assert predict in outputs[f'train {config}']
    assert {f'test {config}', f'predict {config}'} <= outputs.keys()
    check_prediction(tmp_path, page)


def name_of(text, config):
    """Return the file name of a block: the page's config, or the first try that inherits it."""
    return 'first_try.py' if f"_base_ = './{config}'" in text else config


def write_config(text, page, path):
    """Write a config of the page, its length and its base's network shortened."""
    if "_base_ = 'mmgab::" in text:
        write_small_base(path.parent, page, text.splitlines()[0].split("'")[1])
    for long, short in SHORTER:
        text = text.replace(long, short)
    path.write_text(text)


def shortened(words):
    """Words of a command with the names of what a short training leaves."""
    for long, short in LENGTHS:
        words = [word.replace(long, short) for word in words]
    return words


def check_prediction(folder, page):
    images = sorted(path.name for path in (folder / 'predictions' / 'vis').iterdir())
    assert len(images) > 1
    for name in images:
        assert Image.open(folder / 'predictions' / 'vis' / name).size[0] >= 100
    if page == 'train_detection.md':
        results = json.loads((folder / 'predictions' / 'predictions.json').read_text())
        assert [Path(image['file_name']).name for image in results['images']] == images
        assert '<html' in (folder / 'report.html').read_text()
    else:
        labels = sorted(path.name for path in (folder / 'predictions' / 'labels').iterdir())
        assert labels == images
        assert (folder / 'upernet.onnx').is_file()
