import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from tools.dataset_converters import nuclei as converter

from ..conftest import run_tool

pytestmark = pytest.mark.process


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.glob('**/*.*')}


def test_the_result_is_the_same_on_every_run(nuclei, tmp_path):
    run_tool('tools/dataset_converters/nuclei.py', '-o', tmp_path / 'again')
    assert files(tmp_path / 'again') == files(nuclei)


def test_splits_share_no_rows(nuclei):
    rows = {
        split: [int(path.name[1:4]) for path in (nuclei / 'images' / split).iterdir()]
        for split in ('train', 'val')
    }
    assert max(rows['train']) + converter.TILE <= min(rows['val'])
    assert len(rows['val']) * converter.TILE**2 == 128 * 512


def test_grey_scaling_uses_training_rows_only():
    grey, _ = converter.read_micrograph()
    changed = grey.copy()
    changed[converter.SPLITS[1].first_row :] = 0
    rows = np.s_[: converter.SPLITS[1].first_row]
    assert np.array_equal(converter.to_8_bit(grey)[rows], converter.to_8_bit(changed)[rows])


@pytest.mark.parametrize(('split', 'images', 'instances'), [('train', 35, 322), ('val', 4, 39)])
def test_masks_boxes_and_label_maps_match_the_micrograph(nuclei, split, images, instances):
    _, numbers = converter.read_micrograph()
    coco = COCO(nuclei / 'annotations' / f'instances_{split}.json')
    assert (len(coco.imgs), len(coco.anns)) == (images, instances)
    for image in coco.imgs.values():
        row, col = int(image['file_name'][1:4]), int(image['file_name'][6:9])
        truth = numbers[row : row + 128, col : col + 128]
        label = cv2.imread(str(nuclei / 'labels' / split / image['file_name']), -1)
        assert np.array_equal(label, truth > 0)
        covered = np.zeros_like(label)
        for annotation in coco.loadAnns(coco.getAnnIds(image['id'])):
            mask = coco.annToMask(annotation)
            assert len(np.unique(truth[mask == 1])) == 1
            assert mask.sum() == annotation['area'] >= converter.MIN_AREA
            ys, xs = np.nonzero(mask)
            box = [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]
            assert annotation['bbox'] == pytest.approx(box)
            covered += mask
        assert covered.max() <= 1
        assert not (covered & (label == 0)).any()


def test_every_image_entry_has_a_file(nuclei):
    for split in ('train', 'val'):
        names = json.loads((nuclei / 'annotations' / f'instances_{split}.json').read_text())
        for image in names['images']:
            image_file = cv2.imread(str(nuclei / 'images' / split / image['file_name']), -1)
            assert image_file.shape == (128, 128)
            assert image_file.std() > 0
