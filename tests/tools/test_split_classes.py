"""Splits of small classification datasets, and a short run of the paper's recipe."""

from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest
from torchvision.datasets import ImageFolder

from tools.dataset_converters import digit_scenes
from tools.dataset_converters.split_classes import find_images, split

from ..cli.runs import call

TOOL = 'tools/dataset_converters/split_classes.py'


@pytest.fixture
def classes(tmp_path):
    """Return a dataset of two classes with ten crops each."""
    photographs = dict(zip(digit_scenes.PHOTOGRAPHS, digit_scenes.read_photographs(), strict=True))
    for name in ('brick', 'coffee'):
        (tmp_path / 'images' / name).mkdir(parents=True)
        for i in range(10):
            crop = photographs[f'{name}.png'][20 * i : 20 * i + 64, 20 * i : 20 * i + 64]
            cv2.imwrite(str(tmp_path / 'images' / name / f'{name}_{i}.png'), crop)
    return tmp_path


def lists(folder):
    return {part: (folder / f'{part}.txt').read_text().splitlines()
            for part in ('train', 'val', 'test')}  # fmt: skip


@pytest.mark.parametrize('number', [20, 1000, 7349, 9144, 16185, 20580])
def test_split_matches_the_papers_code(number):
    """The sizes include Pets, Caltech-101, Cars and Dogs; the reference is the paper's code."""
    np.random.seed(0)
    indices = np.arange(0, number)
    np.random.shuffle(indices)
    train, val, test = (int(number * share) for share in (0.7, 0.15, 0.15))
    expected = dict(train=indices[:train], val=indices[train : train + val],
                    test=indices[train + val : train + val + test])  # fmt: skip
    parts = split(number)
    assert parts == {name: sorted(part.tolist()) for name, part in expected.items()}
    assert len(set(chain(*parts.values()))) == train + val + test >= number - 2
    assert split(number) == parts


@pytest.mark.parametrize('by_name', [False, True])
def test_images_are_in_image_folder_order(by_name, tmp_path):
    """Classes and numbers sort differently from paths, for example cat and cat_a, or 10 and 2."""
    for kind in ('cat', 'cat_a', 'Zebra', 'dog'):
        for number in (1, 2, 10):
            path = tmp_path / 'folders' / kind / f'{kind}_{number}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            (tmp_path / 'flat').mkdir(exist_ok=True)
            (tmp_path / 'flat' / path.name).touch()
    folder = ImageFolder(str(tmp_path / 'folders'))
    expected = [(Path(path).name, folder.classes[kind]) for path, kind in folder.samples]
    found = find_images(tmp_path / ('flat' if by_name else 'folders'), by_name)
    assert [(Path(path).name, kind) for path, kind in found] == expected


@pytest.mark.parametrize('options', [(), ('--by-name',)])
def test_classes_are_folders_or_name_prefixes(options, classes, capsys, monkeypatch):
    code, output = call(TOOL, (classes, *options), capsys, monkeypatch)
    assert code is None, output
    assert (classes / 'classes.txt').read_text().split() == ['brick', 'coffee']
    for line in chain(*lists(classes).values()):
        path, number = line.split()
        assert path.startswith(('brick', 'coffee')[int(number)])
        assert (classes / 'images' / path).exists()


def test_missing_images_or_classes_raise_an_error(tmp_path, capsys, monkeypatch):
    (tmp_path / 'images').mkdir()
    with pytest.raises(FileNotFoundError, match='no image below'):
        call(TOOL, (tmp_path,), capsys, monkeypatch)
    (tmp_path / 'images' / 'loose.jpg').touch()
    with pytest.raises(ValueError, match=r'loose\.jpg has no class, expected CLASS/ as its folder'):
        call(TOOL, (tmp_path,), capsys, monkeypatch)


@pytest.mark.slow
def test_paper_recipe_trains_validates_and_tests(classes, tmp_path, capsys, monkeypatch):
    call(TOOL, (classes,), capsys, monkeypatch)
    work_dir = tmp_path / 'run'
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    small = [
        *(f'{loader}.dataset.data_root={classes}' for loader in loaders),
        *(f'{loader}.{key}' for loader in loaders for key in ('num_workers=0', 'batch_size=4')),
        'model.backbone.embed_dims=16', 'model.backbone.depth=1', 'model.backbone.num_heads=2',
        'model.backbone.out_indices=(0,)', 'model.backbone.patch_size=32',
        'model.backbone.init_cfg=None', 'model.neck.init_cfg=None',
        'model.neck.in_channels=16', 'model.head.in_channels=16', 'model.head.num_classes=2',
        'train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=1',
    ]  # fmt: skip
    config = 'configs/vit_s_gab_pets.py'
    words = ('--work-dir', work_dir, '--cfg-options', *small)
    code, output = call('tools/train.py', (config, *words), capsys, monkeypatch)
    assert code == 0, output
    best = next(work_dir.glob('best_accuracy*'))
    code, output = call('tools/test.py', (config, best, *words), capsys, monkeypatch)
    assert code == 0, output
    assert 'accuracy/top1' in output
