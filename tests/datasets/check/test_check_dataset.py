"""A copy of the shipped data with one of each defect: each is found, once, and named."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from ...cli.runs import call
from ...conftest import start_tool

pytestmark = pytest.mark.slow

TOOL = 'tools/misc/check_dataset.py'
INSTANCES = 'configs/mask_rcnn_swin_gab_nuclei.py'
SEMANTICS = 'configs/upernet_swin_gab_nuclei.py'


@pytest.fixture
def data(nuclei, tmp_path):
    """A copy that may be damaged."""
    shutil.copytree(nuclei, tmp_path / 'nuclei')
    return tmp_path / 'nuclei'


def places(config, data):
    """Options that say where the data are, also to the evaluators that read them."""
    options = [f'{split}_dataloader.dataset.data_root={data}' for split in ('train', 'val', 'test')]
    if config == INSTANCES:
        annotations = data / 'annotations' / 'instances_val.json'
        options += [f'{split}_evaluator.ann_file={annotations}' for split in ('val', 'test')]
    return options


def check(config, data, out, capsys, monkeypatch, *options):
    """Exit code, and how often each kind of finding is there: a dict for each split."""
    words = [config, '-o', out, '--workers', 2, '--cfg-options', *places(config, data), *options]
    code, output = call(TOOL, words, capsys, monkeypatch)
    result = json.loads((out / 'check.json').read_text())
    found = {
        split['name'].removesuffix('_dataloader'): {
            finding['kind']: (finding['count'], finding['examples'][0])
            for finding in split['found']
        }
        for split in result['splits']
    }
    assert all(kind in output for kinds in found.values() for kind in kinds)
    page = (out / 'check.html').read_text()
    assert all(kind.replace("'", '&#39;') in page for kinds in found.values() for kind in kinds)
    return code, found, result


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


def edit(data, change):
    """Change the training annotations; ``change(content, by_image)`` edits in place."""
    path = data / 'annotations' / 'instances_train.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def of(index, **values):
    """A change of one annotation."""
    return lambda content: content['annotations'][index].update(values)


SQUARE = [[10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0]]
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


def test_an_image_that_a_camera_turned_has_the_size_that_training_sees(
    data, tmp_path, capsys, monkeypatch
):
    path = sorted((data / 'images' / 'train').iterdir())[0]
    turned = Image.new('RGB', (96, 128))
    turned.getexif()[0x0112] = 6  # orientation: a quarter turn
    turned.save(path, exif=turned.getexif())
    edit(data, lambda content: content['images'][0].update(width=96))
    _, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert 'file has (128, 96)' in found['train']['image of another size'][1]


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


def test_images_that_do_not_read_to_the_end_or_are_not_there_are_found(
    data, tmp_path, capsys, monkeypatch
):
    images = sorted((data / 'images' / 'train').iterdir())
    images[0].write_bytes(images[0].read_bytes()[:-200])
    images[1].unlink()
    images[2].write_bytes(b'')
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['image that cannot be read'][0] == 3
    assert images[0].name in found['train']['image that cannot be read'][1]


def test_an_image_is_decoded_as_the_pipeline_does(data, tmp_path, capsys, monkeypatch):
    """A float TIFF is nothing that OpenCV reads into colours; a TGA is something for Pillow."""
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
            assert found['train'].keys() == {'image that cannot be read'}
            examples = result['splits'][0]['found'][0]['examples']
            assert {example.split(':')[0] for example in examples} == set(map(str, paths))


@pytest.mark.parametrize('config', [INSTANCES, SEMANTICS])
def test_a_transform_of_the_library_is_a_pipeline_like_any_other(
    config, nuclei, tmp_path, capsys, monkeypatch
):
    loads = ['train_dataloader.dataset.pipeline.0.type=mmgab.LoadImage']
    if config == SEMANTICS:
        loads += ['train_dataloader.dataset.pipeline.1.type=mmgab.LoadSegmentation']
    assert check(config, nuclei, tmp_path, capsys, monkeypatch, *loads)[0] == 0


@pytest.mark.parametrize(('bound', 'files'), [('pixels', 128 * 128 - 1), ('bytes', 100)])
def test_bounds_are_options(bound, files, nuclei, tmp_path, capsys, monkeypatch):
    roots = places(SEMANTICS, nuclei)
    words = [SEMANTICS, '-o', tmp_path, f'--max-{bound}', files, '--cfg-options', *roots]
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code == 1
    for what in ('image', 'label map'):
        assert f'ERROR 35 x {what} that cannot be read' in output
    assert f'more than the {files} of max_{bound}' in output


def test_an_annotation_file_without_an_image_is_found(data, tmp_path, capsys, monkeypatch):
    edit(data, lambda content: [content[key].clear() for key in ('images', 'annotations')])
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['data set without an image'][0] == 1


NAMES = {'not UTF-8': '\udcff.png', 'surrogate': '\ud800.png', 'nul': 'a\0b.png', 'lines': 'a\nb'}


@pytest.mark.parametrize('kind', NAMES)
def test_a_name_that_no_file_or_no_log_can_have_is_found(kind, data, tmp_path, capsys, monkeypatch):
    edit(data, lambda content: content['images'][0].update(file_name=NAMES[kind]))
    code, found, _ = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['image that cannot be read'][0] == 1
    is_utf8 = kind in ('nul', 'lines')
    assert ('file name that is not valid UTF-8' in found['train']) != is_utf8
    examples = ''.join(example for _, example in found['train'].values())
    assert examples.isprintable()


def test_a_file_on_disk_whose_name_is_not_utf8_is_found(data, tmp_path, capsys, monkeypatch):
    for kind in ('images', 'labels'):
        path = sorted((data / kind / 'train').iterdir())[0]
        path.rename(path.with_name('\udcff.png'))
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train'].keys() == {'file name that is not valid UTF-8'}
    assert found['train']['file name that is not valid UTF-8'][0] == 2


def empty(data):
    shutil.rmtree(data / 'images' / 'train')
    (data / 'images' / 'train').mkdir()


def loop(data):
    for name in ('one', 'other'):
        (data / 'images' / 'train' / name).symlink_to('.')


@pytest.mark.parametrize(
    ('kind', 'change', 'options'),
    [
        ('data set without an image', empty, []),
        ('data set without an image', lambda data: None, ['img_suffix=.jpg']),
        ('data set that cannot be checked', lambda data: shutil.rmtree(data / 'images/train'), []),
        ('data set that cannot be checked', loop, []),
        ('data set that cannot be checked', lambda data: None, ['data_prefix.img_path=README.md']),
        ('data set that cannot be built', lambda data: None, ['type=NoSuchDataset']),
        ('data set that cannot be built', lambda data: None, ['pipeline.0.type=NoSuchTransform']),
        ('annotation file cannot be read', lambda data: None, ['ann_file=train.txt']),
        ('annotation file cannot be read', lambda data: os.mkfifo(data / 'train.txt'),
         ['ann_file=train.txt']),
    ],
)  # fmt: skip
def test_a_folder_or_list_of_no_images_is_found(
    kind, change, options, data, tmp_path, capsys, monkeypatch
):
    change(data)
    options = [f'train_dataloader.dataset.{option}' for option in options]
    code, found, result = check(SEMANTICS, data, tmp_path, capsys, monkeypatch, *options)
    assert code == 1
    assert found['train'][kind][0] == 1
    assert found['val'] == {}
    assert result['splits'][1]['counts'] == {'images': 4, 'label maps': 4}


def test_a_folder_of_no_label_maps_is_found(data, tmp_path, capsys, monkeypatch):
    shutil.rmtree(data / 'labels' / 'train')
    code, found, _ = check(SEMANTICS, data, tmp_path, capsys, monkeypatch)
    assert code == 1
    assert found['train']['label map that cannot be read'][0] == 35


def test_a_config_without_a_data_set_is_no_success(tmp_path, capsys, monkeypatch):
    config = tmp_path / 'config.py'
    config.write_text('train_dataloader = dict(batch_size=2)')
    code, output = call(TOOL, [config, '-o', tmp_path], capsys, monkeypatch)
    assert code == 2
    assert 'has no data set in any of train_dataloader' in output


def replace(path, make):
    path.unlink()
    make(path)


@pytest.mark.process
@pytest.mark.parametrize('config', [INSTANCES, SEMANTICS])
def test_files_that_would_never_end_are_found_and_not_read(config, data, tmp_path):
    """In a process of its own, which can be ended: this one would wait with it."""
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
        assert any(str(path) in example for example in found['image that cannot be read'])
    if config == INSTANCES:
        assert 'annotation file cannot be read' in done.stdout
    else:
        for path in labels[3:5]:
            assert any(str(path) in example for example in found['label map that cannot be read'])


def test_images_of_one_split_in_another_and_twice_in_one_are_found(
    data, tmp_path, capsys, monkeypatch
):
    train, val = (sorted((data / 'images' / split).iterdir()) for split in ('train', 'val'))
    shutil.copy(train[0], val[0])
    shutil.copy(train[1], train[2])
    for config in (INSTANCES, SEMANTICS):
        code, found, _ = check(config, data, tmp_path, capsys, monkeypatch)
        assert code == 1
        count, example = found['val']['image of the training set']
        assert count == 1
        assert f'{val[0]} is {train[0]} of train_dataloader' in example
        assert found['train']['image that is there twice'][0] == 1


def test_images_without_annotations_are_counted(data, tmp_path, capsys, monkeypatch):
    edit(data, lambda content: content['annotations'].clear())
    code, found, result = check(INSTANCES, data, tmp_path, capsys, monkeypatch)
    assert result['splits'][0]['counts']['images without annotations'] == 35
    assert found['train'].keys() == {
        'class without an instance', 'training set without an instance'
    }  # fmt: skip
    assert code == 1


def draw(data, values, index=0):
    """Replace a training label map by one with these values."""
    path = sorted((data / 'labels' / 'train').iterdir())[index]
    labels = np.resize(np.array(values, np.uint8), (128, 128))
    cv2.imwrite(str(path), labels)
    return path


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
