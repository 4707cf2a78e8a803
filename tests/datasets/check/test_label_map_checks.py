"""Label maps are read as MMSegmentation does, and must match the config."""

import struct
import zlib

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmgab.datasets.check.file_reading import Reading
from mmgab.datasets.check.label_map_file import inspect_label_map
from mmgab.datasets.check.semantic_checks import Labels
from mmgab.datasets.check.split_checks import check_loader

pytestmark = pytest.mark.slow

BOUNDS = dict(max_bytes=10**7, max_pixels=10**7)
BLOB = np.zeros((32, 48), np.uint8)
BLOB[8:24, 8:40] = 1
STRIPES = np.repeat(np.arange(4, dtype=np.uint8), 8)[:, None].repeat(48, 1)  # 0 to 3


@pytest.fixture
def write(tmp_path):
    """Write pairs of images and label maps; arrays are converted to images."""

    def save(maps, suffix='.png', **options):
        for folder in ('images', 'labels'):
            (tmp_path / folder).mkdir(exist_ok=True)
        for index, labels in enumerate(maps):
            labels = labels if isinstance(labels, Image.Image) else Image.fromarray(labels)
            Image.new('RGB', labels.size, (index, 9, 9)).save(tmp_path / f'images/{index}.png')
            labels.save(tmp_path / f'labels/{index}{suffix}', **options)
        return tmp_path

    return save


def check(folder, classes=('background', 'nucleus'), name='train_dataloader', more=None, **dataset):
    """Return level and first example of each finding of a loader, by kind."""
    settings = dict(
        type='BaseSegDataset', data_root=str(folder), img_suffix='.png', seg_map_suffix='.png',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        metainfo=dict(classes=classes), pipeline=[],
    )  # fmt: skip
    settings.update(dataset)
    init_default_scope('mmseg')
    config = Config({'default_scope': 'mmseg', name: dict(dataset=settings), **(more or {})})
    split = check_loader(config, name, Reading(1, 10**7, 10**7, 10**7))
    assert not [f for f in split.found() if 'cannot be checked' in f['kind']], split.found()
    return {f['kind']: (f['is_error'], f['examples'][0]) for f in split.found()}


def errors(found):
    return {kind for kind, (is_error, _) in found.items() if is_error}


def test_missing_img_path_is_an_error(write):
    found = check(write([BLOB]), data_prefix=dict(seg_map_path='labels'))
    assert errors(found) == {'dataset without data_prefix.img_path'}


def test_mask_of_0_and_255_is_an_error(write):
    found = check(write([BLOB * 255]))
    assert errors(found) == {'255 may be a class'}
    text = found['255 may be a class'][1]
    assert (
        "255 means unlabelled, and 'nucleus' has no pixels; if 255 means this class, write 1"
        in text
    )


def test_255_with_all_classes_has_no_findings(write):
    labels = BLOB.copy()
    labels[0] = 255
    assert check(write([labels, BLOB])) == {}


def test_255_instead_of_one_of_many_classes_is_a_note(write):
    labels = np.where(STRIPES == 3, 255, STRIPES)
    found = check(write([labels]), tuple('abcd'))
    assert errors(found) == set()
    assert "'d' has no pixels; if 255 means this class, write 3" in found['255 may be a class'][1]


@pytest.mark.parametrize('backend', ['pillow', 'cv2', 'tifffile'])
@pytest.mark.parametrize(
    ('labels', 'suffix'),
    [
        (Image.fromarray(BLOB), '.png'),
        (Image.fromarray(BLOB == 1), '.png'),
        (Image.fromarray(BLOB, 'P'), '.png'),
        (Image.fromarray(BLOB.astype(np.uint16)), '.png'),
        (Image.fromarray(BLOB.astype(np.int32)), '.tif'),
        (Image.fromarray(BLOB.astype(np.float32)), '.tif'),
        (Image.fromarray(BLOB.astype(np.uint16) + 256), '.png'),
        (Image.fromarray(BLOB.astype(np.int32) - 1), '.tif'),
        (Image.fromarray(BLOB.astype(np.float32) * 0.7), '.tif'),
        (Image.fromarray(BLOB).convert('RGB'), '.png'),
        (Image.fromarray(BLOB).convert('LA'), '.png'),
        (Image.fromarray(BLOB).convert('RGBA'), '.png'),
        (Image.fromarray(BLOB), '.bmp'),
        (Image.fromarray(BLOB), '.gif'),
    ],
)
def test_label_map_is_valid_if_training_reads_its_values(labels, suffix, backend, tmp_path):
    """The reference is MMSegmentation's LoadAnnotations."""
    if backend == 'tifffile':
        pytest.importorskip('tifffile')
    path = str(tmp_path / f'map{suffix}')
    if labels.mode == 'P':
        labels.putpalette([0, 0, 0, 220, 20, 60])
    labels.save(path)
    in_file = np.array(Image.open(path))
    load = LoadAnnotations(imdecode_backend=backend)
    results = dict(seg_map_path=path, reduce_zero_label=False, seg_fields=[])
    try:
        trained = load(results)['gt_seg_map']
        is_sound = trained.ndim == 2 and np.array_equal(trained, in_file)
    except Exception:
        trained, is_sound = None, False
    found = inspect_label_map(path, **BOUNDS, backend=backend)
    assert is_sound == (found.problem is None and not found.findings), found
    if found.size is not None:
        assert found.histogram.tolist() == np.bincount(trained.ravel(), minlength=256).tolist()


def test_one_bit_label_maps_need_pillow(write):
    folder = write([Image.fromarray(BLOB == 1)])
    assert check(folder) == {}
    load = dict(type='LoadAnnotations', imdecode_backend='cv2')
    text = check(folder, pipeline=[load])['label map values are changed by the loader'][1]
    assert 'value 1 becomes 255' in text


def test_palette_label_maps_need_pillow(write):
    labels = Image.fromarray(BLOB, 'P')
    labels.putpalette([0, 0, 0, 220, 20, 60])
    folder = write([labels])
    assert check(folder) == {}
    found = check(folder, pipeline=[dict(type='LoadAnnotations', imdecode_backend='cv2')])
    assert "'pillow' reads palette indices" in found['label map with more than one channel'][1]


def test_16_bit_void_value_is_a_note(write):
    labels = BLOB.astype(np.uint16)
    labels[0] = 2**16 - 1
    found = check(write([labels]))
    assert found.keys() == {'label map values are changed by the loader'}
    assert errors(found) == set()


def test_4_bit_grey_label_map_is_scaled_by_decoders(tmp_path):
    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', crc)

    header = struct.pack('>IIBBBBB', 8, 8, 4, 0, 0, 0, 0)  # 4 bits of grey a pixel
    rows = zlib.compress(b'\0\x01\x01\x01\x01' * 8)
    path = tmp_path / 'map.png'
    signature = b'\x89PNG\r\n\x1a\n'
    path.write_bytes(
        signature + chunk(b'IHDR', header) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')
    )
    (finding,) = inspect_label_map(str(path), **BOUNDS).findings
    assert 'value 1 becomes 17' in finding.detail
    assert not finding.is_error


def test_label_map_one_pixel_high_is_unreadable(tmp_path):
    path = tmp_path / 'map.png'
    Image.fromarray(BLOB[:1]).save(path)
    assert 'one pixel wide or high' in inspect_label_map(str(path), **BOUNDS).problem


def test_lossy_label_map_is_an_error(write):
    found = check(write([BLOB], suffix='.jpg', quality=100), seg_map_suffix='.jpg')
    assert 'label map with lossy compression' in errors(found)


def test_colours_and_grey_levels_are_guessed(write):
    found = check(write([STRIPES * 40]), tuple('abcd'))
    assert (
        'values look like grey levels or colours, not class indices'
        in found['label is not a class'][1]
    )
    found = check(write([Image.fromarray(BLOB * 200).convert('RGB')]))
    assert (
        'its channels are equal, save one of them'
        in found['label map with more than one channel'][1]
    )


@pytest.mark.parametrize(
    ('maps', 'reduces', 'is_error'),
    [
        ([BLOB], True, True),  # one class would remain
        ([STRIPES], True, True),
        ([np.where(STRIPES == 1, 0, STRIPES)], True, False),  # the last class may be missing
        ([STRIPES + 1], True, None),
        ([STRIPES], False, None),
    ],
)
def test_reduce_zero_label_of_a_class_is_reported(maps, reduces, is_error, write):
    classes = ('a', 'b') if maps[0] is BLOB else tuple('abcd')
    found = check(write(maps), classes, reduce_zero_label=reduces)
    kind = 'reduce_zero_label may not match the labels'
    assert found.get(kind, (None,))[0] == is_error


@pytest.mark.parametrize('labels', [STRIPES, np.maximum(STRIPES, 1)])
def test_labels_up_to_num_classes_suggest_reduce_zero_label(labels, write):
    found = check(write([labels]), tuple('abc'))
    assert errors(found) == {'label is not a class'}
    assert 'reduce_zero_label=True' in found['reduce_zero_label may not match the labels'][1]
    assert not errors(check(write([labels]), tuple('abc'), reduce_zero_label=True))


@pytest.mark.parametrize(('value', 'reduces'), [(255, False), (0, True)])
def test_split_without_labelled_pixels_is_an_error(value, reduces, write):
    found = check(write([np.full((8, 8), value, np.uint8)] * 2), reduce_zero_label=reduces)
    assert errors(found) == {'dataset without labelled pixels'}


@pytest.mark.parametrize('load', ['LoadAnnotations', 'mmgab.LoadSegmentation'])
@pytest.mark.parametrize('in_pipeline', [None, True, False])
@pytest.mark.parametrize('in_dataset', [True, False])
def test_reduce_zero_label_of_pipeline_and_dataset_must_agree(load, in_pipeline, in_dataset, write):
    pipeline = [dict(type='LoadImageFromFile'), dict(type=load, reduce_zero_label=in_pipeline)]
    folder = write([BLOB + in_dataset])
    found = check(folder, pipeline=pipeline, reduce_zero_label=in_dataset)
    differ = in_pipeline not in (None, in_dataset)
    kind = 'reduce_zero_label of pipeline and dataset differ'
    assert errors(found) == ({kind} if differ else set())
    if differ:
        assert f'reduce_zero_label={in_pipeline} in' in found[kind][1]
        assert f'{in_dataset} in the dataset' in found[kind][1]


def test_training_pipeline_must_load_label_maps(write):
    found = check(write([BLOB]), pipeline=[dict(type='LoadImageFromFile')])
    assert errors(found) == {'training pipeline does not load label maps'}
    custom = [lambda results: results]  # a custom transform may load anything
    assert not errors(check(write([BLOB]), pipeline=custom))


def model(ignored=255, auxiliary=None, pad=255, number=2):
    heads = dict(decode_head=dict(num_classes=number, ignore_index=ignored))
    if auxiliary is not None:
        heads['auxiliary_head'] = [dict(num_classes=number, ignore_index=auxiliary)]
    return dict(model=dict(data_preprocessor=dict(seg_pad_val=pad), **heads))


@pytest.mark.parametrize(
    ('settings', 'kinds'),
    [
        (model(), set()),
        (model(255, 255), set()),
        (model(254, 254, 254), set()),
        (model(255, 100), {'ignore_index settings differ'}),
        (model(254), {'padding value of label maps is not ignored'}),
        (model(pad=0), set()),  # padding as background may be intended
        (model(number=3), {'num_classes of a head differs from the dataset'}),
    ],
)
def test_heads_and_padding_must_match_the_labels(settings, kinds, write):
    assert errors(check(write([BLOB]), more=settings)) == kinds


@pytest.mark.parametrize(('loss', 'metric', 'is_error'), [
    (255, 255, None),
    (255, 100, True),
    (0, 255, True),  # a class that is evaluated but never trained
    (255, 0, False),  # a score without the background
])  # fmt: skip
def test_ignore_index_of_metric_and_loss_must_match(loss, metric, is_error, write):
    evaluator = dict(val_evaluator=[dict(type='IoUMetric', ignore_index=metric)])
    found = check(write([BLOB]), name='val_dataloader', more={**evaluator, **model(loss)})
    assert found.get('ignore_index settings differ', (None,))[0] == is_error
    assert errors(found) == ({'ignore_index settings differ'} if is_error else set())


def test_255_needs_ignore_index_255(write):
    labels = BLOB.copy()
    labels[0] = 255
    found = check(write([labels]), more=model(254, pad=254))
    assert errors(found) == {'label is not a class'}
    assert 'ignore_index is 254' in found['label is not a class'][1]


def test_possible_void_classes_are_noted(write):
    found = check(write([BLOB]), ('nucleus', 'Unlabelled'))
    assert not errors(found)
    assert "'Unlabelled' is label 1" in found['class may mean unlabelled'][1]
    borders = np.zeros((128, 128), np.uint8)
    borders[:64] = 1
    borders[:, ::16] = borders[::16] = 2
    found = check(write([borders]), ('a', 'b', 'c'))
    assert not errors(found)
    assert "'c' has pixels only at borders" in found['class may mean unlabelled'][1]


def test_wrong_img_suffix_lists_existing_suffixes(write):
    found = check(write([BLOB] * 3), img_suffix='.jpg')
    text = found['dataset without images'][1]
    assert "images: img_suffix='.jpg', the folder has 3 x .png" in text


def test_suffix_in_another_case_is_reported(write):
    folder = write([BLOB] * 3)
    for kind in ('images', 'labels'):
        (folder / kind / '1.png').rename(folder / kind / '1.PNG')
    found = check(folder)
    assert '1.PNG' in found['images skipped, suffix in another case'][1]
    assert errors(found) == {'images skipped, suffix in another case'}


def test_unpaired_images_and_label_maps_are_reported(write):
    folder = write([BLOB] * 4)
    (folder / 'labels/0.png').rename(folder / 'labels/0.PNG')
    (folder / 'images/1.png').unlink()
    found = check(folder)
    text = found['images without a label map'][1]
    assert '1 of 3' in text
    assert 'labels/0.png' in text
    assert '1 x .PNG' in text
    is_error, text = found['label map without an image']
    assert not is_error
    assert text.endswith('labels/1.png')


def test_a_training_set_needs_label_maps_and_classes(write):
    folder = write([BLOB])
    prefix = dict(img_path='images')
    assert errors(check(folder, data_prefix=prefix)) == {'dataset without label maps'}
    assert not errors(check(folder, data_prefix=prefix, name='test_dataloader'))
    assert errors(check(folder, metainfo=None)) == {'dataset without classes'}


def test_different_palettes_are_noted(write):
    red, green = [0, 0, 0, 255, 0, 0], [0, 0, 0, 0, 255, 0, 9, 9, 9]
    maps = [Image.fromarray(BLOB, 'P') for _ in range(2)]
    for labels, palette in zip(maps, (red, [*red, 9, 9, 9]), strict=True):
        labels.putpalette(palette)
    assert check(write(maps)).keys() <= {'duplicate image'}
    maps[1].putpalette(green)
    found = check(write(maps))
    assert not errors(found)
    assert 'index 1 is (0, 255, 0)' in found['label maps with different palettes'][1]


def test_ann_file_may_select_a_subset(write):
    folder = write([BLOB] * 3)
    (folder / 'train.txt').write_text('0\n2\n')
    assert check(folder, ann_file='train.txt').keys() <= {'duplicate image'}
    found = check(folder, ann_file='other.txt')
    assert 'other.txt: No such file' in found['annotation file cannot be read'][1]


def test_exif_orientation_explains_a_size_mismatch(write):
    folder = write([BLOB])
    image = Image.new('RGB', BLOB.shape[::-1])
    image.getexif()[0x0112] = 6  # orientation: a quarter turn
    image.save(folder / 'images/0.png', exif=image.getexif())
    found = check(folder, pipeline=[dict(type='LoadImageFromFile')])
    assert 'EXIF' in found['label map size differs from the image'][1]


def test_subset_of_classes_has_its_own_labels():
    """MMSegmentation maps nuclei to label 0 and ignores the background."""
    histogram = np.bincount([0, 0, 1], minlength=256)
    subset = Labels(('nucleus',), label_map={0: 255, 1: 0})
    assert subset.count(histogram)[[0, 255]].tolist() == [1, 2]
    shifted = Labels(('nucleus',), reduces_zero=True, label_map={0: -1, 1: 0})
    assert shifted.count(np.bincount([0, 1, 2, 2], minlength=256))[[0, 255]].tolist() == [2, 2]


CHANGED = 'label map values are changed by the loader'
LOAD, LOAD_CV2 = (
    dict(type='LoadAnnotations', imdecode_backend=backend) for backend in ('pillow', 'cv2')
)


@pytest.mark.parametrize(
    ('branches', 'kinds'),
    [
        ([[LOAD], [LOAD]], set()),
        (
            [[LOAD], [dict(type='LoadImageFromFile')]],
            {'training pipeline does not load label maps'},
        ),
        ([[LOAD], [LOAD_CV2]], {CHANGED}),
        ([[LOAD_CV2], [LOAD]], {CHANGED}),
    ],
)
def test_each_branch_must_load_label_maps(branches, kinds, write):
    choice = dict(type='RandomChoice', transforms=branches)
    found = check(write([Image.fromarray(BLOB == 1)]), pipeline=[choice])
    assert errors(found) - {'255 may be a class'} == kinds
