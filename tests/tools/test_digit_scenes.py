"""Digit scenes are deterministic, splits share nothing, labels match the pixels."""

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from tools.dataset_converters import digit_scenes
from tools.dataset_converters.digit_scenes import SIDE, Instance, Scene, make_scenes

from ..conftest import run_tool

pytestmark = pytest.mark.process


@pytest.fixture(scope='module')
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'digits'
    output = run_tool('tools/dataset_converters/digit_scenes.py', '-o', out)
    assert 'train: 600 images' in output
    return out


def test_the_result_is_the_same_on_every_run():
    split = digit_scenes.Split('val', 5, 1)
    for one, other in zip(make_scenes(split), make_scenes(split), strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.label_map(), other.label_map())


def test_splits_share_no_digits_and_background_pixels():
    _, classes = digit_scenes.read_digits()
    train, val = (digit_scenes.digits_of(split, classes) for split in ('train', 'val'))
    assert not set(train) & set(val)
    assert np.array_equal(np.bincount(classes[val]), [100] * 10)
    for photograph in digit_scenes.read_photographs():
        width = photograph.shape[1]
        regions = [digit_scenes.region_of(split, photograph) for split in ('train', 'val')]
        assert sum(region.shape[1] for region in regions) == width
        assert all(min(region.shape[:2]) >= SIDE for region in regions)
        assert np.array_equal(np.hstack(regions), photograph)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_scenes_use_only_digits_and_regions_of_their_split(split, monkeypatch):
    digits, classes = digit_scenes.read_digits()
    own = digit_scenes.digits_of(split, classes)
    photographs = [np.zeros((200, 400, 3), np.uint8) for _ in range(2)]
    for photograph in photographs:  # the other split's region is white
        digit_scenes.region_of('val' if split == 'train' else 'train', photograph)[:] = 255
    others = np.ones(len(digits), bool)
    others[own] = False
    digits[others] = 0  # no ink: invisible
    monkeypatch.setattr(digit_scenes, 'read_photographs', lambda: photographs)
    monkeypatch.setattr(digit_scenes, 'read_digits', lambda: (digits, classes))
    for scene in make_scenes(digit_scenes.Split(split, 20, 0)):
        assert all(instance.pixels for instance in scene.instances)
        ground = scene.image[scene.label_map() == 0]
        assert (
            np.median(ground)
            == digit_scenes.background(
                [np.zeros((SIDE, SIDE, 3), np.uint8)], np.random.default_rng(0)
            ).max()
        )


def test_masks_boxes_and_label_maps_agree(digits):
    coco = COCO(digits / 'annotations' / 'instances_val.json')
    assert [category['name'] for category in coco.cats.values()] == list('0123456789')
    found = set()
    for image in coco.imgs.values():
        label = cv2.imread(str(digits / 'labels' / 'val' / image['file_name']), -1)
        assert cv2.imread(str(digits / 'images' / 'val' / image['file_name'])).shape == (
            128,
            128,
            3,
        )
        rebuilt = np.zeros_like(label)
        for annotation in coco.loadAnns(coco.getAnnIds(image['id'])):
            mask = coco.annToMask(annotation).astype(bool)
            assert not rebuilt[mask].any()  # masks of visible parts do not overlap
            rebuilt[mask] = annotation['category_id']
            found.add(annotation['category_id'])
        assert np.array_equal(rebuilt, label)
    assert found == set(range(1, 11))


def test_digits_overlap_and_stay_mostly_visible():
    scenes = make_scenes(digit_scenes.Split('train', 40, 0))
    visible = [one.visible for scene in scenes for one in scene.instances]
    assert min(visible) >= digit_scenes.MIN_VISIBLE
    assert np.mean(np.array(visible) < 1) > 0.1


def test_digit_that_would_hide_another_is_not_placed():
    """A scene that one digit fills has no space for a second one."""
    scene = Scene(np.zeros((SIDE, SIDE, 3), np.uint8), [])
    thin = np.zeros((SIDE, SIDE), bool)
    thin[::8, ::8] = True
    scene.instances = [Instance(1, thin & (np.arange(SIDE)[:, None] == row), 16) for row in
                       range(0, SIDE, 8)]  # fmt: skip
    before = list(scene.instances)
    digit_scenes.place(scene, np.full((28, 28), 255, np.uint8), 2, np.random.default_rng(0))
    assert all(one.visible >= digit_scenes.MIN_VISIBLE for one in scene.instances)
    assert len(scene.instances) in (len(before), len(before) + 1)


def test_contact_sheet_is_written(digits):
    sheet = cv2.imread(str(digits / 'contact_sheet.png'))
    assert sheet.shape == (3 * (2 * SIDE + 4), 6 * (2 * SIDE + 4), 3)
