"""All tools that take a config, on the pure Python example configs; one of each task is trained."""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.visualization import Visualizer
from PIL import Image

from mmgab.config_types import type_name
from mmgab.engine import kind_of_model, load_config, set_default_scope
from mmgab.models import SwinGAB

from ..conftest import ROOT
from .runs import TINY, call

pytestmark = pytest.mark.slow

CONFIGS = ROOT / 'configs' / 'pure_python'
SIZE = ('--size', 64, 64)


@dataclass
class Trained:
    """A short training of an example: its arguments and its work dir."""

    config: Path
    work_dir: Path
    options: list

    @property
    def checkpoint(self):
        return self.work_dir / (self.work_dir / 'last_checkpoint').read_text().rpartition('/')[2]


@pytest.fixture
def tool(capsys, monkeypatch):
    """Run a tool in this process; scope and visualizer of MMEngine are reset."""

    def run(name, *words):
        set_default_scope(Config(dict(default_scope=None)))
        for visualizer in (Visualizer, *Visualizer.__subclasses__()):
            visualizer._instance_dict.clear()
        return call(f'tools/{name}', words, capsys, monkeypatch)

    return run


@pytest.fixture(scope='module')
def pets(tmp_path_factory):
    """Create six images of two classes, and ImageNet weights of a tiny Swin."""
    root = tmp_path_factory.mktemp('pets')
    (root / 'images').mkdir()
    lines = []
    for index in range(6):
        shade = np.full((72, 80, 3), 40 + 30 * index, np.uint8)
        Image.fromarray(shade).save(root / 'images' / f'{index}.png')
        lines.append(f'{index}.png {index % 2}')
    for name, part in (('train', lines[:4]), ('val', lines[4:]), ('test', lines[4:])):
        (root / f'{name}.txt').write_text('\n'.join(part))
    swin = SwinGAB(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
    torch.save(swin.state_dict(), root / 'swin.pth')
    return root


def of_nuclei(nuclei, *more):
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    few = [f'{loader}.dataset.indices=2' for loader in loaders]
    return [*TINY, *few, *(f'{loader}.dataset.data_root={nuclei}' for loader in loaders), *more]


def detection(nuclei, *more):
    file = f'{nuclei}/annotations/instances_val.json'
    return of_nuclei(
        nuclei, 'train_cfg.max_epochs=1', 'train_cfg.val_interval=9',
        'default_hooks.checkpoint.interval=1', f'test_evaluator.ann_file={file}',
        f'val_evaluator.ann_file={file}', *more,
    )  # fmt: skip


@pytest.fixture(scope='module')
def settings(nuclei, pets):
    """Return overrides that make each example small, by its name."""
    return {
        'retinanet_swin_gab_nuclei': detection(nuclei, 'model.neck.in_channels=[32,64,128]'),
        'mask_rcnn_swin_gab_nuclei': detection(nuclei, 'model.neck.in_channels=[16,32,64,128]'),
        'upernet_swin_gab_nuclei': of_nuclei(
            nuclei, 'train_cfg.max_iters=1', 'train_cfg.val_interval=9',
            'default_hooks.checkpoint.interval=1', 'model.decode_head.in_channels=[16,32,64,128]',
            'model.auxiliary_head.in_channels=64', 'train_dataloader.batch_size=2',
        ),
        'swin_t_gab_pets': [
            *TINY, 'train_cfg.max_epochs=1', 'train_cfg.val_interval=9', 'model.head.num_classes=2',
            'model.head.in_channels=128', 'data_preprocessor.num_classes=2',
            f'model.backbone.init_cfg.checkpoint={pets / "swin.pth"}',
            *(f'{name}_dataloader.{setting}' for name in ('train', 'val', 'test')
              for setting in (f'dataset.data_root={pets}', 'batch_size=2', 'num_workers=0')),
        ],
    }  # fmt: skip


@pytest.fixture(scope='module')
def trained(settings, tmp_path_factory):
    """Train an example on demand, once."""
    made = {}

    def train(name, tool):
        if name not in made:
            work_dir = tmp_path_factory.mktemp(name)
            config = CONFIGS / f'{name}.py'
            words = ['--cfg-options', *settings[name]]
            code, output = tool('train.py', config, '--work-dir', work_dir, *words)
            assert code == 0, output[-3000:]
            made[name] = Trained(config, work_dir, words)
        return made[name]

    return train


EXAMPLES = ['retinanet_swin_gab_nuclei', 'upernet_swin_gab_nuclei', 'swin_t_gab_pets']
each_example = pytest.mark.parametrize('name', EXAMPLES)


@each_example
def test_example_runs_with_tta_and_out(name, trained, tool, tmp_path):
    run = trained(name, tool)
    out = tmp_path / ('maps' if name.startswith('upernet') else 'kept.pkl')
    code, output = tool(
        'test.py', run.config, run.checkpoint, '--work-dir', tmp_path, '--tta', '--out', out,
        *run.options,
    )  # fmt: skip
    assert code == 0, output[-3000:]
    assert list(tmp_path.glob('results*.json'))
    kept = list(out.iterdir()) if out.is_dir() else pickle.loads(out.read_bytes())
    assert len(kept) == 2
    assert type_name(load_config(str(tmp_path / run.config.name)).model).endswith(('TTA', 'Model'))


@each_example
def test_dumped_config_gives_the_same_metrics(name, trained, tool, tmp_path):
    """MMEngine writes names of classes instead of the classes of the example."""
    run = trained(name, tool)
    written = run.work_dir / run.config.name
    assert 'default_scope = None' in written.read_text()
    words = ('--work-dir', tmp_path, '--show-dir', 'drawn')
    code, output = tool('test.py', written, run.checkpoint, *words)
    assert code == 0, output[-3000:]
    assert len(list((tmp_path / 'drawn').glob('*.png'))) == 2


@each_example
def test_data_of_example_is_checked(name, trained, tool, tmp_path):
    run = trained(name, tool)
    words = ('--workers', 1, '-o', tmp_path, *run.options)
    _, output = tool('misc/check_dataset.py', run.config, *words)
    found = json.loads((tmp_path / 'check.json').read_text())['splits']
    assert found[0]['name'] == 'train_dataloader', output[-3000:]
    kinds = {one['kind'] for split in found for one in split['found']}
    assert not {kind for kind in kinds if 'cannot be' in kind}


@each_example
def test_backbone_of_example_is_exported(name, trained, tool, tmp_path):
    run = trained(name, tool)
    words = ('--part', 'backbone', *SIZE, '--out', tmp_path / 'swin.pt2', *run.options)
    code, output = tool('deployment/export.py', run.config, run.checkpoint, *words)
    assert code == 0, output[-3000:]
    assert (tmp_path / 'swin.pt2').is_file()


@each_example
def test_erf_and_attention_of_example_are_plotted(name, trained, tool, tmp_path):
    run = trained(name, tool)
    common = (run.config, run.checkpoint, '--images', 'val', '--num', 1)
    code, output = tool(
        'analysis_tools/erf.py', *common, *SIZE, '--bootstrap', 2, '--out', tmp_path / 'erf',
        '--layer', 'backbone.stages.0.blocks.0', *run.options,
    )  # fmt: skip
    assert code == 0, output[-3000:]
    size = ('--size', 224, 224)  # the last stage has one window, without padding
    code, output = tool(
        'analysis_tools/attention_maps.py', *common, *size, '--out', tmp_path / 'attention',
        *run.options,
    )  # fmt: skip
    assert code == 0, output[-3000:]
    assert (tmp_path / 'erf.png').is_file()
    assert (tmp_path / 'attention_heads.png').is_file()


@pytest.mark.parametrize('words', [(), ('--run-config', '--images', 'noise', '--num', 1)])
def test_report_of_example_is_written(words, trained, tool, tmp_path):
    run = trained('retinanet_swin_gab_nuclei', tool)
    out = tmp_path / 'report.html'
    code, output = tool('analysis_tools/report.py', run.work_dir, '-o', out, *words)
    assert code == 0, output[-3000:]
    page = out.read_text()
    assert 'RetinaNet' in page
    assert ('The receptive field' not in page) if words else ('--run-config measures them' in page)


def test_tta_of_masks_raises(settings, tool, tmp_path):
    name = 'mask_rcnn_swin_gab_nuclei'
    words = ('--work-dir', tmp_path, '--tta', '--cfg-options', *settings[name])
    code, output = tool('test.py', CONFIGS / f'{name}.py', 'none.pth', *words)
    assert code == 2
    assert 'cannot merge the masks of MaskRCNN' in output


def plain(settings):
    """Replace classes by their names, so that both config styles can be compared."""
    if isinstance(settings, dict):
        return {
            key: type_name(settings) if key == 'type' else plain(value)
            for key, value in settings.items()
            if key != '_scope_'
        }
    return list(map(plain, settings)) if isinstance(settings, (list, tuple)) else settings


@pytest.mark.parametrize('name', ['mask_rcnn_swin_gab_nuclei', 'upernet_swin_gab_nuclei'])
def test_example_equals_its_text_config(name):
    text, pure = (load_config(str(folder / f'{name}.py')) for folder in (CONFIGS.parent, CONFIGS))
    assert kind_of_model(text) == kind_of_model(pure)
    # Everything that is built; the rest are variables and the path of the file.
    for key in text.keys() - {'data_root', 'default_scope', 'vis_backends', 'norm_cfg'}:
        if not key.startswith('_'):
            assert plain(pure[key]) == plain(text[key]), key


def test_every_example_is_tested(settings):
    assert {path.stem for path in CONFIGS.glob('*.py')} == settings.keys()
