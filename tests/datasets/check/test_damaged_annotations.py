"""Each defect in a damaged copy of the annotations is reported."""

import pytest

from .shipped_data import INSTANCES, SEMANTICS, SQUARE, check, edit, of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('config', [INSTANCES, SEMANTICS])
def test_shipped_data_has_no_findings(config, nuclei, tmp_path, capsys, monkeypatch):
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
    'annotation with an unknown image_id': of(0, image_id=999),
    'annotation with an unknown category_id': of(0, category_id=7),
    'bbox is not [x, y, width, height]': of(0, bbox=[1, 2, 3]),
    'annotation without a numeric area': lambda content: content['annotations'][0].pop('area'),
    'image without a valid width and height': lambda content: content['images'][0].update(
        width='128'
    ),
    'bbox outside the image': of(0, bbox=[200, 10, 5, 5]),
    'bbox extends beyond the image': of(0, bbox=[100, 10, 60, 5]),
    'segmentation is neither polygons nor RLE': of(0, segmentation=[]),
    'polygon is not a list of three or more points': of(0, segmentation=[[1.0, 1.0, 2.0, 2.0]]),
    'polygon extends beyond the image': of(0, segmentation=[[*SQUARE[0], 300.0, 20.0]]),
    'polygon without area': of(0, segmentation=[[10.0, 10.0, 20.0, 20.0, 30.0, 30.0]]),
    'RLE mask size differs from the image': of(0, segmentation=dict(size=[64, 64], counts='x')),
    'mask without area': of(0, segmentation=dict(size=[128, 128], counts=[128 * 128])),
    'RLE mask cannot be decoded': of(0, segmentation=dict(size=[128, 128, 3], counts=[128 * 128])),
    'RLE counts do not match the mask size': of(0, segmentation=dict(size=[128, 128], counts='1')),
    'annotation without segmentation': of(0, segmentation=None),
    'entry of annotations is not a JSON object': lambda content: content['annotations'].append(
        None
    ),
    'category_id of annotations missing or of the wrong type': of(0, category_id=[1]),
    'image size differs from the annotations': lambda content: content['images'][0].update(
        width=130
    ),
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
def test_annotation_defect_is_reported(kind, data, tmp_path, capsys, monkeypatch):
    edit(data, DEFECTS[kind])
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train'][kind][0] == 1
    assert found['val'] == {}
    side_effects = {
        'image cannot be read',
        'duplicate image',
        'annotation with an unknown image_id',
        'image size differs from the annotations',
        'RLE mask size differs from the image',
        'dataset cannot be loaded',
        'label assigned to the wrong class',
    }  # side effects of duplicate ids and names, in the file and in MMDetection
    assert found['train'].keys() - {kind} <= side_effects


def test_bbox_without_area_is_a_note(data, tmp_path, capsys, monkeypatch):
    edit(data, of(0, bbox=[10, 10, 0, 5]))
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 0
    assert found['train'].keys() == {'bbox without area'}


def test_masks_are_unchecked_if_training_does_not_read_them(data, tmp_path, capsys, monkeypatch):
    edit(data, of(0, segmentation=[]))
    boxes = ('train_dataloader.dataset.pipeline.1.with_mask=False', 'model.roi_head.mask_head=None')
    assert check(INSTANCES, data, tmp_path, capsys, monkeypatch, *boxes)[:2] == (
        0,
        dict(train={}, val={}),
    )


def test_boxes_at_the_border_are_accepted(data, tmp_path, capsys, monkeypatch):
    edit(data, of(0, bbox=[0, 0, 128.4, 128], segmentation=SQUARE))
    assert check(INSTANCES, data, tmp_path, capsys, monkeypatch)[:2] == (0, dict(train={}, val={}))


def test_class_missing_in_categories_is_reported(data, tmp_path, capsys, monkeypatch):
    """MMDetection would train without the class, and without a warning."""
    edit(data, lambda content: content['categories'][0].update(name='nuclei'))
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    count, example = found['train']['class of the config is not in categories']
    path = data / 'annotations' / 'instances_train.json'
    detail = f"nucleus: the file has ['nuclei'], names must match ({path})"
    assert (count, example) == (1, detail)
    assert 'category is not in the classes of the config' in found['train']


@pytest.mark.parametrize('content', [b'', b'{"images": []}', b'[1', b'[]', b'[' * 10**5])
def test_invalid_annotation_file_is_reported(content, data, tmp_path, capsys, monkeypatch):
    (data / 'annotations' / 'instances_train.json').write_bytes(content)
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert sum('annotation file' in kind for kind in found['train']) == 1


def test_annotation_file_without_images_is_reported(data, tmp_path, capsys, monkeypatch):
    edit(data, lambda content: [content[key].clear() for key in ('images', 'annotations')])
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['dataset without images'][0] == 1


def test_images_without_annotations_are_counted(data, tmp_path, capsys, monkeypatch):
    edit(data, lambda content: content['annotations'].clear())
    code, found, result = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert result['splits'][0]['counts']['images without annotations'] == 35
    assert found['train'].keys() == {
        'class without annotations', 'training set without instances'
    }  # fmt: skip
    assert code == 1
