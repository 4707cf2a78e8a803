"""Splits of one COCO annotation file."""

import json

import pytest
from pycocotools.coco import COCO

from tools.dataset_converters.split_coco import split

from ..cli.runs import call

TOOL = 'tools/dataset_converters/split_coco.py'


@pytest.fixture
def run_split(capsys, monkeypatch):
    return lambda *words: call(TOOL, words, capsys, monkeypatch)


@pytest.fixture
def labels(nuclei, tmp_path):
    content = json.loads((nuclei / 'annotations' / 'instances_train.json').read_text())
    content['licenses'] = [dict(id=1, name='BSD-3-Clause')]
    path = tmp_path / 'labels.json'
    path.write_text(json.dumps(content))
    return path


def test_each_image_is_in_one_split_with_all_of_its_annotations(labels, tmp_path, run_split):
    assert run_split(labels, '-o', tmp_path / 'out')[0] is None
    whole = COCO(str(labels))
    parts = [COCO(str(tmp_path / 'out' / f'{name}.json')) for name in ('train', 'val')]
    assert len(parts[1].imgs) == round(0.2 * len(whole.imgs)) > 0
    assert sorted([*parts[0].imgs, *parts[1].imgs]) == sorted(whole.imgs)
    for part in parts:
        assert part.cats == whole.cats
        assert part.dataset['licenses'] == whole.dataset['licenses']
        for image in part.imgs:
            assert part.imgToAnns[image] == whole.imgToAnns[image]


@pytest.mark.parametrize('share', [0.001, 0.5, 0.999])
def test_no_split_is_empty(share):
    content = dict(images=[dict(id=i) for i in range(9)], annotations=[], categories=[])
    parts = split(content, share)
    assert all(part['images'] for part in parts.values())
    assert split(content, share) == parts
    assert split(content, share, seed=1) != parts


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda content: content['images'].clear(), '0 images, at least 2'),
        (lambda content: content['annotations'][3].update(image_id=999), 'image_id 999 is not'),
        (lambda content: content['annotations'][3].pop('image_id'), 'annotations[3]'),
        (lambda content: content.pop('categories'), 'categories missing'),
    ],
    ids=['no-images', 'unknown-image', 'no-image', 'no-categories'],
)
def test_invalid_annotations_are_refused(change, message, labels, tmp_path, run_split):
    content = json.loads(labels.read_text())
    change(content)
    labels.write_text(json.dumps(content))
    code, output = run_split(labels, '-o', tmp_path / 'out')
    assert code == 2
    assert message in output
    assert not (tmp_path / 'out').exists()


def test_existing_split_is_not_overwritten(labels, tmp_path, run_split):
    (tmp_path / 'val.json').write_text('mine')
    code, output = run_split(labels, '-o', tmp_path)
    assert code == 2
    assert 'val.json exists' in output
    assert (tmp_path / 'val.json').read_text() == 'mine'
    assert not (tmp_path / 'train.json').exists()
