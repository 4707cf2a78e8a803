"""Each defect in a damaged copy of the label maps is reported."""

import shutil

import cv2
import numpy as np
import pytest

from .shipped_data import SEMANTICS, check, draw

pytestmark = pytest.mark.slow


def test_missing_label_map_folder_is_reported(data, tmp_path, capsys, monkeypatch):
    shutil.rmtree(data / 'labels' / 'train')
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['label map cannot be read'][0] == 35


@pytest.mark.parametrize(
    ('kind', 'change'),
    [
        ('label is not a class', lambda data: draw(data, [0, 1, 7])),
        ('label map size differs from the image', lambda data: cv2.imwrite(
            str(sorted((data / 'labels' / 'train').iterdir())[0]), np.ones((64, 64), np.uint8))),
        ('label map cannot be read',
         lambda data: sorted((data / 'labels' / 'train').iterdir())[0].write_bytes(b'')),
        ('image cannot be read',
         lambda data: sorted((data / 'images' / 'train').iterdir())[0].write_bytes(b'')),
    ],
)  # fmt: skip
def test_label_map_defect_is_reported(kind, change, data, tmp_path, capsys, monkeypatch):
    change(data)
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found == {'train': {kind: found['train'][kind]}, 'val': {}}
    assert found['train'][kind][0] == 1


def test_colour_label_map_is_reported(data, tmp_path, capsys, monkeypatch):
    path = sorted((data / 'labels' / 'train').iterdir())[0]
    cv2.imwrite(str(path), np.zeros((128, 128, 3), np.uint8))
    _, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert (
        'its channels are equal, save one of them'
        in found['train']['label map with more than one channel'][1]
    )


@pytest.mark.parametrize('reduces', [True, False])
def test_labels_must_match_reduce_zero_label(reduces, data, tmp_path, capsys, monkeypatch):
    if not reduces:  # three values for two classes: 0 means unlabelled
        for index in range(35):
            draw(data, [0, 1, 2], index)
    option = f'train_dataloader.dataset.reduce_zero_label={reduces}'
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch, option)
    assert code == 1  # labels that are not classes, or one class left
    count, example = found['train']['reduce_zero_label may not match the labels']
    assert count == 1
    assert ('reduce_zero_label=True ignores label 0' in example) == reduces


def test_empty_label_map_and_unused_class_are_noted(data, tmp_path, capsys, monkeypatch):
    for index in range(35):
        draw(data, [0], index)
    draw(data, [255])
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 0
    assert found['train']['label map without labelled pixels'][0] == 1
    assert found['train']['class without pixels'] == (1, 'nucleus')
