"""Kept images and instances are counted, and filtered ones noted with the reason."""

import pytest

from .coco_data import annotations, check, edited, loader, pipeline, write

pytestmark = pytest.mark.slow


def test_valid_data_has_no_findings_and_is_kept(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    found, result = check(tmp_path, capsys, monkeypatch)
    assert found == [dict(errors={}, notes={})] * 2
    assert result['splits'][0]['counts']['images kept'] == 3
    assert result['splits'][0]['classes'] == dict(cat=3, dog=3)


def test_crowds_rle_and_extra_keys_are_accepted(tmp_path, capsys, monkeypatch):
    contents = {split: annotations(split) for split in ('train', 'val')}
    for content in contents.values():
        first, second, *_, last = content['annotations']
        first['segmentation'] = dict(size=[64, 80], counts=[100, 30, 4990])
        crowd = dict(size=[64, 80], counts='Zd0:f10000000000000000000000000000000000000fS3')
        second.update(iscrowd=1, segmentation=crowd, score=0.5, keypoints=[])
        content['annotations'] = [first, second, last | dict(id='77', iscrowd=False)]
        content['categories'].append(dict(id='x', name='bird', supercategory='animal'))
        content['categories'] = content['categories'][:2]
        content |= dict(info={}, licenses=None, type='instances')
    write(tmp_path, **contents)
    found, result = check(tmp_path, capsys, monkeypatch)
    assert found == [dict(errors={}, notes={})] * 2
    assert result['splits'][0]['counts']['crowds'] == 1
    assert result['splits'][0]['counts']['instances kept'] == 2


LEFT_OUT = {
    'area is not above 0': dict(area=0),
    'bbox is smaller than a pixel': dict(bbox=[4, 4, 0.9, 20]),
    'ignore is set': dict(ignore=1),
}


@pytest.mark.parametrize('why', LEFT_OUT)
def test_skipped_annotations_are_noted_with_the_reason(why, tmp_path, capsys, monkeypatch):
    content = annotations('train')
    content['annotations'][0].update(LEFT_OUT[why])
    write(tmp_path, train=content)
    (train, _), result = check(tmp_path, capsys, monkeypatch)
    assert train['errors'] == {}
    (example,) = train['notes'].pop(f'annotation skipped, {why}')
    assert 'annotation 1 of train_1.png' in example
    assert train['notes'] == {}
    assert result['splits'][0]['classes'] == dict(cat=2, dog=3)


@pytest.mark.parametrize(
    'values',
    [dict(area=0), dict(area=-5.0), dict(bbox=[4, 4, 0.5, 0.5]), dict(ignore=True),
     dict(iscrowd=1), dict(bbox=[0.1, 0.1, 0.4, 0.5]), dict(bbox=[500, 4, 20, 20]),
     dict(category_id=77)],
    ids=str,
)  # fmt: skip
def test_training_set_without_instances_is_an_error(values, tmp_path, capsys, monkeypatch):
    write(tmp_path, train=edited('train', **values))
    (train, val), _ = check(tmp_path, capsys, monkeypatch)
    assert 'training set without instances' in train['errors']
    assert val == dict(errors={}, notes={})


@pytest.mark.parametrize(
    ('values', 'is_error'), [(dict(area=0), True), (dict(ignore=1), True), (dict(iscrowd=1), False)]
)
def test_validation_set_that_keeps_nothing_is_an_error(
    values, is_error, tmp_path, capsys, monkeypatch
):
    write(tmp_path, val=edited('val', **values))
    (_, val), _ = check(tmp_path, capsys, monkeypatch)
    assert ('dataset keeps no instance' in val['errors']) == is_error


def test_bbox_in_fractions_is_reported(tmp_path, capsys, monkeypatch):
    content = annotations('train')
    for annotation in content['annotations']:
        x, y, w, h = annotation['bbox']
        annotation['bbox'] = [x / 80, y / 64, w / 80, h / 64]
    write(tmp_path, train=content)
    (train, _), _ = check(tmp_path, capsys, monkeypatch)
    assert 'bbox in fractions of the image size' in train['errors']


@pytest.mark.parametrize(
    ('changes', 'errors', 'notes'),
    [
        (dict(filter_cfg=dict(min_size=65)), {'dataset keeps no image'},
         {'image filtered out by min_size'}),
        (dict(filter_cfg=dict(min_size=64)), set(), set()),
        (dict(filter_cfg=dict(min_size=65), test_mode=True), set(), set()),
        (dict(indices=2), set(), {'images filtered out'}),
        (dict(indices=0), {'dataset keeps no image'}, {'images filtered out'}),
        (dict(indices=9), set(), set()),
    ],
)  # fmt: skip
def test_filter_cfg_and_indices_are_applied(changes, errors, notes, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    train = loader(tmp_path, 'train', **changes)
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert (train['errors'].keys(), train['notes'].keys()) == (errors, notes)


def test_filter_empty_gt_is_applied(tmp_path, capsys, monkeypatch):
    content = annotations('train')
    content['annotations'] = content['annotations'][:2]
    write(tmp_path, train=content)
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
    train = loader(tmp_path, 'train', filter_cfg=dict(filter_empty_gt=True))
    (train, _), result = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    kind = 'image filtered out by filter_empty_gt'
    assert train == dict(errors={}, notes={kind: ['train_2.png', 'train_3.png']})
    assert result['splits'][0]['counts']['images kept'] == 1


def test_rle_masks_are_ignored_with_poly2mask_false(tmp_path, capsys, monkeypatch):
    write(tmp_path, train=edited('train', segmentation=dict(size=[64, 80], counts=[100, 5020])))
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
    train = loader(tmp_path, 'train', pipeline=pipeline(poly2mask=False))
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert train['notes'].keys() == {'RLE mask is ignored with poly2mask=False'}
    assert train['errors'].keys() == {'training set without instances'}


def test_float_width_and_height_are_accepted(tmp_path, capsys, monkeypatch):
    content = annotations('train')
    for image in content['images']:
        image.update(width=80.0, height=64.0)
    write(tmp_path, train=content)
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
