"""A copy of the shipped data with one of each defect of annotations: each is found and named."""

import pytest

from .shipped_data import INSTANCES, SEMANTICS, SQUARE, check, edit, of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('config', [INSTANCES, SEMANTICS])
def test_the_shipped_data_is_sound(config, nuclei, tmp_path, capsys, monkeypatch):
    code, found, result = check(config, nuclei, tmp_path, capsys, monkeypatch)
    assert code == 0
    assert found == dict(train={}, val={})
    assert [split['counts']['images'] for split in result['splits']] == [35, 4]
    nuclei_of_splits = [split['classes']['nucleus'] for split in result['splits']]
    if config == INSTANCES:
        assert nuclei_of_splits == [322, 39]
    else:
        assert 0.1 < nuclei_of_splits[0] / (35 * 128 * 128) < 0.5


DEFECTS = {
    'id of annotations not unique': of(0, id=2),
    'annotation of no image': of(0, image_id=999),
    'annotation of no category': of(0, category_id=7),
    'box that is no (x, y, width, height)': of(0, bbox=[1, 2, 3]),
    'annotation without area': lambda content: content['annotations'][0].pop('area'),
    'image without a size': lambda content: content['images'][0].update(width='128'),
    'box outside its image': of(0, bbox=[200, 10, 5, 5]),
    'box that reaches beyond its image': of(0, bbox=[100, 10, 60, 5]),
    'mask without a polygon': of(0, segmentation=[]),
    'polygon of less than three points': of(0, segmentation=[[1.0, 1.0, 2.0, 2.0]]),
    'polygon that reaches beyond its image': of(0, segmentation=[[*SQUARE[0], 300.0, 20.0]]),
    'polygon without area': of(0, segmentation=[[10.0, 10.0, 20.0, 20.0, 30.0, 30.0]]),
    'mask of another size': of(0, segmentation=dict(size=[64, 64], counts='x')),
    'mask without area': of(0, segmentation=dict(size=[128, 128], counts=[128 * 128])),
    'mask that cannot be decoded': of(0, segmentation=dict(size=[128, 128, 3], counts=[128 * 128])),
    'mask whose run lengths do not add up': of(0, segmentation=dict(size=[128, 128], counts='1')),
    'annotation without a mask': of(0, segmentation=None),
    'entry of annotations that is no object': lambda content: content['annotations'].append(None),
    'category_id of annotations missing or of the wrong type': of(0, category_id=[1]),
    'image of another size': lambda content: content['images'][0].update(width=130),
    'id of images not unique': lambda content: content['images'].append(
        dict(content['images'][0], file_name='other.png')
    ),
    'file_name of images not unique': lambda content: content['images'].append(
        dict(content['images'][0], id=500)
    ),
    'name of categories not unique': lambda content: content['categories'].append(
        dict(content['categories'][0], id=9)
    ),
}


@pytest.mark.parametrize('kind', DEFECTS)
def test_a_defect_of_annotations_is_found(kind, data, tmp_path, capsys, monkeypatch):
    edit(data, DEFECTS[kind])
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train'][kind][0] == 1
    assert found['val'] == {}
    beside = {
        'image that cannot be read',
        'image that is there twice',
        'annotation of no image',
        'image of another size',
        'mask of another size',
        'data set that cannot be loaded',
        'label of another class',
    }  # what a second image of an id or name brings with it, and MMDetection says to it
    assert found['train'].keys() - {kind} <= beside


def test_boxes_without_area_are_noted_as_training_leaves_them_out(
    data, tmp_path, capsys, monkeypatch
):
    edit(data, of(0, bbox=[10, 10, 0, 5]))
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 0
    assert found['train'].keys() == {'box without area'}


def test_masks_are_of_no_interest_where_training_does_not_read_them(
    data, tmp_path, capsys, monkeypatch
):
    edit(data, of(0, segmentation=[]))
    boxes = ('train_dataloader.dataset.pipeline.1.with_mask=False', 'model.roi_head.mask_head=None')
    assert check(INSTANCES, data, tmp_path, capsys, monkeypatch, *boxes)[:2] == (
        0,
        dict(train={}, val={}),
    )


def test_boxes_at_the_border_and_polygons_inside_are_no_defects(
    data, tmp_path, capsys, monkeypatch
):
    edit(data, of(0, bbox=[0, 0, 128.4, 128], segmentation=SQUARE))
    assert check(INSTANCES, data, tmp_path, capsys, monkeypatch)[:2] == (0, dict(train={}, val={}))


def test_a_class_that_the_file_does_not_have_is_found(data, tmp_path, capsys, monkeypatch):
    """MMDetection would train without it, and say nothing."""
    edit(data, lambda content: content['categories'][0].update(name='nuclei'))
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    count, example = found['train']["class of the config that the file's categories do not have"]
    assert (count, example) == (1, "nucleus: the file has ['nuclei']")
    assert 'category that the config leaves out' in found['train']


@pytest.mark.parametrize('content', [b'', b'{"images": []}', b'[1', b'[]', b'[' * 10**5])
def test_an_annotation_file_that_is_none_is_found(content, data, tmp_path, capsys, monkeypatch):
    (data / 'annotations' / 'instances_train.json').write_bytes(content)
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert sum('annotation file' in kind for kind in found['train']) == 1


def test_an_annotation_file_without_an_image_is_found(data, tmp_path, capsys, monkeypatch):
    edit(data, lambda content: [content[key].clear() for key in ('images', 'annotations')])
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['data set without an image'][0] == 1


def test_images_without_annotations_are_counted(data, tmp_path, capsys, monkeypatch):
    edit(data, lambda content: content['annotations'].clear())
    code, found, result = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert result['splits'][0]['counts']['images without annotations'] == 35
    assert found['train'].keys() == {
        'class without an instance', 'training set without an instance'
    }  # fmt: skip
    assert code == 1
