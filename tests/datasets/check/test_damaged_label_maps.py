"""A copy of the shipped data with one of each defect of label maps: each is found and named."""

import shutil

import cv2
import numpy as np
import pytest

from .shipped_data import SEMANTICS, check, draw

pytestmark = pytest.mark.slow


def test_a_folder_of_no_label_maps_is_found(data, tmp_path, capsys, monkeypatch):
    shutil.rmtree(data / 'labels' / 'train')
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['label map that cannot be read'][0] == 35


@pytest.mark.parametrize(
    ('kind', 'change'),
    [
        ('label that is no class', lambda data: draw(data, [0, 1, 7])),
        ('label map of another size', lambda data: cv2.imwrite(
            str(sorted((data / 'labels' / 'train').iterdir())[0]), np.ones((64, 64), np.uint8))),
        ('label map that cannot be read',
         lambda data: sorted((data / 'labels' / 'train').iterdir())[0].write_bytes(b'')),
        ('image that cannot be read',
         lambda data: sorted((data / 'images' / 'train').iterdir())[0].write_bytes(b'')),
    ],
)  # fmt: skip
def test_a_defect_of_label_maps_is_found(kind, change, data, tmp_path, capsys, monkeypatch):
    change(data)
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found == {'train': {kind: found['train'][kind]}, 'val': {}}
    assert found['train'][kind][0] == 1


def test_a_label_map_in_colour_is_named(data, tmp_path, capsys, monkeypatch):
    path = sorted((data / 'labels' / 'train').iterdir())[0]
    cv2.imwrite(str(path), np.zeros((128, 128, 3), np.uint8))
    _, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert 'keep one channel' in found['train']['label map with more than one channel'][1]


@pytest.mark.parametrize('reduces', [True, False])
def test_labels_that_do_not_fit_reduce_zero_label_are_found(
    reduces, data, tmp_path, capsys, monkeypatch
):
    if not reduces:  # three values for two classes: 0 stands for none
        for index in range(35):
            draw(data, [0, 1, 2], index)
    option = f'train_dataloader.dataset.reduce_zero_label={reduces}'
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch, option)
    assert code == 1  # labels that are no class, or one class left to learn
    count, example = found['train']['reduce_zero_label may not fit the labels']
    assert count == 1
    assert ('reduce_zero_label=True the first class' in example) == reduces


def test_a_map_without_labels_and_a_class_without_pixels_are_noted(
    data, tmp_path, capsys, monkeypatch
):
    for index in range(35):
        draw(data, [0], index)
    draw(data, [255])
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 0
    assert found['train']['label map without a label'][0] == 1
    assert found['train']['class without a pixel'] == (1, 'nucleus')
