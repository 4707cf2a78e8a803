"""Damaged, misnamed and missing images in a copy of the data are reported."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from ...cli.runs import call
from ...conftest import start_tool
from .shipped_data import INSTANCES, SEMANTICS, TOOL, check, edit, places

pytestmark = pytest.mark.slow


def test_exif_rotated_image_has_the_size_of_training(data, tmp_path, capsys, monkeypatch):
    path = sorted((data / 'images' / 'train').iterdir())[0]
    turned = Image.new('RGB', (96, 128))
    turned.getexif()[0x0112] = 6  # orientation: a quarter turn
    turned.save(path, exif=turned.getexif())
    edit(data, lambda content: content['images'][0].update(width=96))
    _, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert (
        'the image file has (128, 96)'
        in found['train']['image size differs from the annotations'][1]
    )


def test_truncated_and_missing_images_are_reported(data, tmp_path, capsys, monkeypatch):
    images = sorted((data / 'images' / 'train').iterdir())
    images[0].write_bytes(images[0].read_bytes()[:-200])
    images[1].unlink()
    images[2].write_bytes(b'')
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['image cannot be read'][0] == 3
    assert images[0].name in found['train']['image cannot be read'][1]


def test_image_is_decoded_as_in_the_pipeline(data, tmp_path, capsys, monkeypatch):
    """OpenCV cannot read a float TIFF as colours; only Pillow reads a TGA."""
    first, second, third = sorted((data / 'images' / 'train').iterdir())[:3]
    with_pillow = 'train_dataloader.dataset.pipeline.0.imdecode_backend=pillow'
    Image.open(first).save(first, 'TGA')
    Image.fromarray(np.ones((128, 128), np.float32)).save(second, 'TIFF')
    Image.fromarray(np.ones((128, 128), np.uint16)).save(third)
    for config in (INSTANCES, SEMANTICS):
        expected = {(): {first, second}, (with_pillow,): {second, third}}
        for options, paths in expected.items():
            code, found, result = check(config, data, tmp_path, capsys, monkeypatch, *options)
            assert code == 1
            assert found['train'].keys() == {'image cannot be read'}
            examples = result['splits'][0]['found'][0]['examples']
            assert {example.split(':')[0] for example in examples} == set(map(str, paths))


@pytest.mark.parametrize('config', [INSTANCES, SEMANTICS])
def test_mmgab_loading_transforms_are_accepted(config, nuclei, tmp_path, capsys, monkeypatch):
    loads = ['train_dataloader.dataset.pipeline.0.type=mmgab.LoadImage']
    if config == SEMANTICS:
        loads += ['train_dataloader.dataset.pipeline.1.type=mmgab.LoadSegmentation']
    assert check(config, nuclei, tmp_path, capsys, monkeypatch, *loads)[0] == 0


@pytest.mark.parametrize(('bound', 'files'), [('pixels', 128 * 128 - 1), ('bytes', 100)])
def test_max_bytes_and_max_pixels_are_options(bound, files, nuclei, tmp_path, capsys, monkeypatch):
    roots = places(SEMANTICS, nuclei)
    words = [SEMANTICS, '-o', tmp_path, f'--max-{bound}', files, '--cfg-options', *roots]
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 1
    for what in ('image', 'label map'):
        assert f'ERROR 35 x {what} cannot be read' in output
    assert f'exceed max_{bound}={files}' in output


NAMES = {'not UTF-8': '\udcff.png', 'surrogate': '\ud800.png', 'nul': 'a\0b.png', 'lines': 'a\nb'}


@pytest.mark.parametrize('kind', NAMES)
def test_invalid_file_name_is_reported(kind, data, tmp_path, capsys, monkeypatch):
    edit(data, lambda content: content['images'][0].update(file_name=NAMES[kind]))
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['image cannot be read'][0] == 1
    is_utf8 = kind in ('nul', 'lines')
    assert ('file name is not valid UTF-8' in found['train']) != is_utf8
    examples = ''.join(example for _, example in found['train'].values())
    assert examples.isprintable()


def test_non_utf8_file_name_is_reported(data, tmp_path, capsys, monkeypatch):
    for kind in ('images', 'labels'):
        path = sorted((data / kind / 'train').iterdir())[0]
        path.rename(path.with_name('\udcff.png'))
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train'].keys() == {'file name is not valid UTF-8'}
    assert found['train']['file name is not valid UTF-8'][0] == 2


def empty(data):
    shutil.rmtree(data / 'images' / 'train')
    (data / 'images' / 'train').mkdir()


def loop(data):
    for name in ('one', 'other'):
        (data / 'images' / 'train' / name).symlink_to('.')


@pytest.mark.parametrize(
    ('kind', 'change', 'options'),
    [
        ('dataset without images', empty, []),
        ('dataset without images', lambda data: None, ['img_suffix=.jpg']),
        ('dataset cannot be checked', lambda data: shutil.rmtree(data / 'images/train'), []),
        ('dataset cannot be checked', loop, []),
        ('dataset cannot be checked', lambda data: None, ['data_prefix.img_path=README.md']),
        ('dataset cannot be built', lambda data: None, ['type=NoSuchDataset']),
        ('dataset cannot be built', lambda data: None, ['pipeline.0.type=NoSuchTransform']),
        ('annotation file cannot be read', lambda data: None, ['ann_file=train.txt']),
        ('annotation file cannot be read', lambda data: os.mkfifo(data / 'train.txt'),
         ['ann_file=train.txt']),
    ],
)  # fmt: skip
def test_missing_images_are_reported(kind, change, options, data, tmp_path, capsys, monkeypatch):
    change(data)
    options = [f'train_dataloader.dataset.{option}' for option in options]
    code, found, result = check(SEMANTICS, data, tmp_path, capsys, monkeypatch, *options)
    assert code == 1
    assert found['train'][kind][0] == 1
    assert found['val'] == {}
    assert result['splits'][1]['counts'] == {'images': 4, 'label maps': 4}


def test_config_without_a_dataset_exits_with_2(tmp_path, capsys, monkeypatch):
    config = tmp_path / 'config.py'
    config.write_text('train_dataloader = dict(batch_size=2)')
    code, output = call(TOOL, [config, '-o', tmp_path], capsys, monkeypatch)
    assert code == 2
    assert 'has no dataset in train_dataloader' in output


def replace(path, make):
    path.unlink()
    make(path)


@pytest.mark.process
@pytest.mark.parametrize('config', [INSTANCES, SEMANTICS])
def test_endless_files_are_reported(config, data, tmp_path):
    """Run in a separate process with a timeout, as reading might never end."""
    images = sorted((data / 'images' / 'train').iterdir())
    labels = sorted((data / 'labels' / 'train').iterdir())
    replace(images[0], os.mkfifo)
    replace(images[1], lambda path: path.symlink_to('/dev/zero'))
    replace(images[2], lambda path: path.symlink_to('nothing'))
    replace(labels[3], os.mkfifo)
    replace(labels[4], lambda path: path.symlink_to('/dev/zero'))
    images[5].rename(images[5].with_name('ü\udcff.png'))
    replace(data / 'annotations' / 'instances_val.json', os.mkfifo)
    roots = places(config, data)
    done = start_tool(
        TOOL, config, '-o', tmp_path / 'out', '--cfg-options', *roots,
        env=dict(PYTHONIOENCODING='ascii'), timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert 'Traceback' not in done.stdout
    content = json.loads((tmp_path / 'out' / 'check.json').read_text())
    found = {each['kind']: each['examples'] for each in content['splits'][0]['found']}
    for path in images[:3]:
        assert any(str(path) in example for example in found['image cannot be read'])
    if config == INSTANCES:
        assert 'annotation file cannot be read' in done.stdout
    else:
        for path in labels[3:5]:
            assert any(str(path) in example for example in found['label map cannot be read'])


def test_shared_and_duplicate_images_are_reported(data, tmp_path, capsys, monkeypatch):
    train, val = (sorted((data / 'images' / split).iterdir()) for split in ('train', 'val'))
    shutil.copy(train[0], val[0])
    shutil.copy(train[1], train[2])
    for config in (INSTANCES, SEMANTICS):
        code, found, _ = check(config, data, tmp_path, capsys, monkeypatch)
        assert code == 1
        count, example = found['val']['image is also in the training set']
        assert count == 1
        assert f'{val[0]} is identical to {train[0]} of train_dataloader' in example
        assert found['train']['duplicate image'][0] == 1
