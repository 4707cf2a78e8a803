"""Small sets of images: their split, and the paper's recipe run on one, tiny."""

from itertools import chain

import cv2
import digit_scenes
import pytest
from split_classes import split

from .runs import call

TOOL = 'tools/dataset_converters/split_classes.py'


@pytest.fixture
def classes(tmp_path):
    """Crops of two photographs, ten of each, in a folder for each."""
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


def test_every_image_is_in_one_part_and_the_parts_are_those_of_the_paper():
    parts = split(1000)
    assert [len(part) for part in parts.values()] == [700, 150, 150]
    assert sorted(chain(*parts.values())) == list(range(1000))
    assert split(1000) == parts


@pytest.mark.parametrize('options', [(), ('--by-name',)])
def test_classes_are_folders_or_the_beginnings_of_names(options, classes, capsys, monkeypatch):
    code, output = call(TOOL, (classes, *options), capsys, monkeypatch)
    assert code is None, output
    assert (classes / 'classes.txt').read_text().split() == ['brick', 'coffee']
    for line in chain(*lists(classes).values()):
        path, number = line.split()
        assert path.startswith(('brick', 'coffee')[int(number)])
        assert (classes / 'images' / path).exists()


def test_a_folder_without_images_or_an_image_without_a_class_is_named(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / 'images').mkdir()
    with pytest.raises(FileNotFoundError, match='no image below'):
        call(TOOL, (tmp_path,), capsys, monkeypatch)
    (tmp_path / 'images' / 'loose.jpg').touch()
    with pytest.raises(ValueError, match=r'loose\.jpg is in no class.*as its folder'):
        call(TOOL, (tmp_path,), capsys, monkeypatch)


def test_the_papers_recipe_trains_validates_and_tests(classes, tmp_path, capsys, monkeypatch):
    call(TOOL, (classes,), capsys, monkeypatch)
    work_dir = tmp_path / 'run'
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    small = [
        *(f'{loader}.dataset.data_root={classes}' for loader in loaders),
        *(f'{loader}.{key}' for loader in loaders for key in ('num_workers=0', 'batch_size=4')),
        'model.backbone.embed_dims=16', 'model.backbone.depth=1', 'model.backbone.num_heads=2',
        'model.backbone.out_indices=(0,)', 'model.backbone.patch_size=32',
        'model.backbone.init_cfg=None', 'model.head.in_channels=16', 'model.head.num_classes=2',
        'train_cfg.max_epochs=1', 'default_hooks.checkpoint.interval=1',
    ]  # fmt: skip
    config = 'configs/vit_s_gab_pets.py'
    words = ('--work-dir', work_dir, '--cfg-options', *small)
    code, output = call('tools/train.py', (config, *words), capsys, monkeypatch)
    assert code is None, output
    best = next(work_dir.glob('best_accuracy*'))
    code, output = call('tools/test.py', (config, best, *words), capsys, monkeypatch)
    assert code is None, output
    assert 'accuracy/top1' in output
