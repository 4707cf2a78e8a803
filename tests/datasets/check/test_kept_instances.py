"""The check counts the images and instances that MMDetection keeps, and says why others go."""

import pytest

from .coco_data import annotations, check, edited, loader, pipeline, write

pytestmark = pytest.mark.slow


def test_sound_data_has_no_finding_and_all_of_it_is_kept(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    found, result = check(tmp_path, capsys, monkeypatch)
    assert found == [dict(errors={}, notes={})] * 2
    assert result['splits'][0]['counts']['images kept'] == 3
    assert result['splits'][0]['classes'] == dict(cat=3, dog=3)


def test_crowds_run_lengths_and_extra_keys_are_sound(tmp_path, capsys, monkeypatch):
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
    'its area is not above 0': dict(area=0),
    'its box is smaller than a pixel': dict(bbox=[4, 4, 0.9, 20]),
    'ignore is set': dict(ignore=1),
}


@pytest.mark.parametrize('why', LEFT_OUT)
def test_annotations_that_training_leaves_out_are_counted_with_the_reason(
    why, tmp_path, capsys, monkeypatch
):
    content = annotations('train')
    content['annotations'][0].update(LEFT_OUT[why])
    write(tmp_path, train=content)
    (train, _), result = check(tmp_path, capsys, monkeypatch)
    assert train['errors'] == {}
    (example,) = train['notes'].pop(f'annotation left out, as {why}')
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
def test_a_training_set_of_which_no_instance_is_learned_is_an_error(
    values, tmp_path, capsys, monkeypatch
):
    write(tmp_path, train=edited('train', **values))
    (train, val), _ = check(tmp_path, capsys, monkeypatch)
    assert 'training set without an instance' in train['errors']
    assert val == dict(errors={}, notes={})


@pytest.mark.parametrize(
    ('values', 'is_error'), [(dict(area=0), True), (dict(ignore=1), True), (dict(iscrowd=1), False)]
)
def test_a_validation_set_of_which_nothing_is_kept_is_an_error(
    values, is_error, tmp_path, capsys, monkeypatch
):
    write(tmp_path, val=edited('val', **values))
    (_, val), _ = check(tmp_path, capsys, monkeypatch)
    assert ('data set of which no instance is kept' in val['errors']) == is_error


def test_boxes_as_fractions_of_the_image_are_named(tmp_path, capsys, monkeypatch):
    content = annotations('train')
    for annotation in content['annotations']:
        x, y, w, h = annotation['bbox']
        annotation['bbox'] = [x / 80, y / 64, w / 80, h / 64]
    write(tmp_path, train=content)
    (train, _), _ = check(tmp_path, capsys, monkeypatch)
    assert 'boxes as fractions of the image' in train['errors']


@pytest.mark.parametrize(
    ('changes', 'errors', 'notes'),
    [
        (dict(filter_cfg=dict(min_size=65)), {'data set of which no image is kept'},
         {'image left out, as it is smaller than min_size'}),
        (dict(filter_cfg=dict(min_size=64)), set(), set()),
        (dict(filter_cfg=dict(min_size=65), test_mode=True), set(), set()),
        (dict(indices=2), set(), {'images left out'}),
        (dict(indices=0), {'data set of which no image is kept'}, {'images left out'}),
        (dict(indices=9), set(), set()),
    ],
)  # fmt: skip
def test_filters_and_indices_of_the_config_are_applied(
    changes, errors, notes, tmp_path, capsys, monkeypatch
):
    write(tmp_path)
    train = loader(tmp_path, 'train', **changes)
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert (train['errors'].keys(), train['notes'].keys()) == (errors, notes)


def test_images_without_objects_are_left_out_where_the_config_says_so(
    tmp_path, capsys, monkeypatch
):
    content = annotations('train')
    content['annotations'] = content['annotations'][:2]
    write(tmp_path, train=content)
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
    train = loader(tmp_path, 'train', filter_cfg=dict(filter_empty_gt=True))
    (train, _), result = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    kind = 'image left out, as it has no object of the classes'
    assert train == dict(errors={}, notes={kind: ['train_2.png', 'train_3.png']})
    assert result['splits'][0]['counts']['images kept'] == 1


def test_run_lengths_teach_nothing_where_the_pipeline_takes_polygons(tmp_path, capsys, monkeypatch):
    write(tmp_path, train=edited('train', segmentation=dict(size=[64, 80], counts=[100, 5020])))
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
    train = loader(tmp_path, 'train', pipeline=pipeline(poly2mask=False))
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert train['notes'].keys() == {'run lengths are ignored, as poly2mask=False'}
    assert train['errors'].keys() == {'training set without an instance'}


def test_sides_written_as_floats_are_sizes(tmp_path, capsys, monkeypatch):
    content = annotations('train')
    for image in content['images']:
        image.update(width=80.0, height=64.0)
    write(tmp_path, train=content)
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
