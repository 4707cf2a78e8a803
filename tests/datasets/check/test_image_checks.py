"""Images are decoded and measured as in training, and lossy loading is reported."""

import io
import re

import cv2
import mmcv
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmseg.datasets.transforms import RGB2Gray
from PIL import Image

from mmgab.datasets.check.findings import Split
from mmgab.datasets.check.image_checks import Decoder, inspect_image
from mmgab.datasets.check.label_map_file import inspect_label_map
from mmgab.datasets.check.model_channels import model_channels
from mmgab.datasets.check.split_images import add_images

BOUNDS = dict(max_bytes=10**7, max_pixels=10**7)
CV2, PILLOW = Decoder('cv2', 'color'), Decoder('pillow', 'color')
GREY = np.arange(64 * 48).reshape(48, 64)


def written(tmp_path, values, suffix):
    """Write values to an image file, with OpenCV where Pillow has no mode."""
    path = tmp_path / f'image{suffix}'
    if np.ndim(values) == 3:
        cv2.imwrite(str(path), values)
    else:
        Image.fromarray(values).save(path)
    return str(path)


@pytest.mark.parametrize(
    ('values', 'suffix'),
    [
        (GREY.astype(np.uint8), '.png'),
        (GREY.astype(bool), '.png'),
        (GREY.astype(np.uint16), '.png'),
        (GREY.astype(np.uint16), '.tiff'),
        (np.dstack([GREY] * 3).astype(np.uint16), '.png'),
        (np.dstack([GREY] * 4).astype(np.uint8), '.png'),
        (GREY.astype(np.uint8), '.gif'),
        (GREY.astype(np.uint8), '.jpg'),
    ],
)
def test_supported_images_have_no_problem(values, suffix, tmp_path):
    found = inspect_image(written(tmp_path, values, suffix), CV2, **BOUNDS)
    assert found.problem is None
    assert found.size == (64, 48)


@pytest.mark.parametrize('kind', [np.float32, np.int32])
def test_float_and_int32_images_are_reported(kind, tmp_path):
    path = written(tmp_path, GREY.astype(kind), '.tiff')
    assert 'TIFF of mode' in inspect_image(path, CV2, **BOUNDS).problem
    assert 'clips its values at 255' in inspect_image(path, PILLOW, **BOUNDS).problem


def test_16_bit_images_are_reported_if_pillow_clips_them(tmp_path):
    path = written(tmp_path, GREY.astype(np.uint16), '.png')
    assert 'clips its values at 255' in inspect_image(path, PILLOW, **BOUNDS).problem


@pytest.mark.parametrize('suffix', ['.tga', '.pcx', '.ico', '.dds', '.sgi'])
def test_formats_unsupported_by_the_decoder_are_reported(suffix, tmp_path):
    path = written(tmp_path, GREY.astype(np.uint8)[:32, :32], suffix)
    assert "imdecode_backend='cv2' cannot read" in inspect_image(path, CV2, **BOUNDS).problem
    assert inspect_image(path, None, **BOUNDS).problem is None


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp', '.tiff'])
@pytest.mark.parametrize('decoder', [CV2, PILLOW], ids=['cv2', 'pillow'])
def test_exif_rotated_image_has_the_size_of_training(suffix, decoder, tmp_path):
    path = tmp_path / f'image{suffix}'
    image = Image.new('RGB', (64, 48))
    image.getexif()[0x0112] = 6  # orientation: a quarter turn
    image.save(path, exif=image.getexif())
    trained = mmcv.imfrombytes(path.read_bytes(), backend=decoder.backend)
    assert inspect_image(str(path), decoder, **BOUNDS).size == trained.shape[1::-1]


def test_max_bytes_and_max_pixels_are_applied(tmp_path):
    path = written(tmp_path, GREY.astype(np.uint8), '.png')
    for bounds in (dict(max_bytes=9, max_pixels=10**6), dict(max_bytes=10**6, max_pixels=9)):
        for found in (inspect_image(path, CV2, **bounds), inspect_label_map(path, **bounds)):
            assert found.size is None
            assert re.search('exceed max_(bytes|pixels)=9(;|$)', found.problem)


def test_damaged_images_raise_no_error(tmp_path):
    """Decoders raise many errors, such as MemoryError and struct.error."""
    path = tmp_path / 'image'
    random = np.random.default_rng(0)
    for kind in ('PNG', 'JPEG', 'TIFF', 'BMP', 'GIF', 'WEBP', 'PPM', 'ICO'):
        with io.BytesIO() as file:
            Image.fromarray(GREY.astype(np.uint8)).save(file, kind)
            content = file.getvalue()
        for _ in range(40):
            damaged = bytearray(content[: random.integers(len(content))])
            for place in random.integers(0, max(1, len(damaged)), 3):
                damaged[place : place + 1] = bytes([random.integers(256)])
            path.write_bytes(damaged)
            found = inspect_image(str(path), CV2, **BOUNDS), inspect_label_map(str(path), **BOUNDS)
            for each in found:
                assert (each.size is None) == bool(each.problem or each.findings)


def found(path, decoder=CV2):
    """Return level and detail of each finding by kind."""
    inspected = inspect_image(str(path), decoder, **BOUNDS)
    assert inspected.problem is None
    return {each.kind: (each.is_error, each.detail) for each in inspected.findings}


@pytest.mark.parametrize(
    ('values', 'is_error'),
    [
        (GREY.astype(np.uint16) * 20, False),
        (GREY.astype(np.uint16), True),  # 12 of 3072 levels remain
        (np.dstack([GREY] * 3).astype(np.uint16) * 20, False),
        (np.full_like(GREY, 7).astype(np.uint16), None),
        (GREY.astype(np.uint8), None),
    ],
)
@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
def test_lost_bit_depth_is_an_error_below_16_levels(values, is_error, suffix, tmp_path):
    path = written(tmp_path, values, suffix)
    assert found(path).get('image with more than 8 bits per channel', (None,))[0] == is_error
    assert not found(path, Decoder('cv2', 'unchanged'))


def test_dropped_alpha_channel_is_noted(tmp_path):
    path = tmp_path / 'image.png'
    image = Image.new('RGBA', (64, 48), (9, 9, 9, 255))
    image.save(path)
    assert not found(path)  # constant alpha
    image.putpixel((0, 0), (9, 9, 9, 0))
    for mode in ('RGBA', 'LA'):
        image.convert(mode).save(path)
        (kind,) = found(path)
        assert kind == 'image loses its alpha channel'
        assert not found(path)[kind][0]
        assert 'alpha from 0 to 255' in found(path)[kind][1]
    assert not found(path, Decoder('cv2', 'unchanged'))


def test_transparent_palette_colour_is_noted(tmp_path):
    path = tmp_path / 'image.png'
    image = Image.fromarray((GREY % 4).astype(np.uint8), 'P')
    image.putpalette([0, 0, 0, 90, 0, 0, 0, 90, 0, 0, 0, 90])
    image.save(path)
    assert not found(path)
    image.save(path, transparency=2)
    assert found(path).keys() == {'image loses its alpha channel'}


@pytest.mark.parametrize('decoder', [CV2, PILLOW], ids=['cv2', 'pillow'])
def test_cmyk_is_noted(decoder, tmp_path):
    path = tmp_path / 'image.jpg'
    Image.new('CMYK', (64, 48)).save(path)
    assert found(path, decoder).keys() == {'image that is not RGB'}


@pytest.mark.parametrize('suffix', ['.gif', '.tiff'])
def test_images_with_several_frames_are_noted(suffix, tmp_path):
    path = tmp_path / f'image{suffix}'
    frames = [Image.new('RGB', (64, 48), (value, 0, 0)) for value in (0, 100, 200)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    is_error, text = found(path)['image with several frames']
    assert not is_error
    assert '3 frames' in text


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('flag', ['color', 'color_ignore_orientation'])
def test_exif_orientation_is_noted_with_its_effect(orientation, flag, tmp_path):
    path = tmp_path / 'image.jpg'
    image = Image.fromarray(GREY.astype(np.uint8)).convert('RGB')
    image.getexif()[0x0112] = orientation
    image.save(path, exif=image.getexif())
    kinds = found(path, Decoder('cv2', flag))
    if orientation == 1:
        assert not kinds
    else:
        does = 'training applies it' if flag == 'color' else 'training ignores it'
        assert does in kinds['image with an EXIF orientation'][1]


def fit(path, flag='color', network=3, mean=None, preprocessor='DetDataPreprocessor', pipeline=()):
    """Return True if the channels of an image match a model."""
    preprocess = dict(type=preprocessor, **(dict(mean=[0.0] * mean) if mean else {}))
    backbone = dict(type='mmgab.SwinGAB', **(dict(in_channels=network) if network else {}))
    config = Config(dict(model=dict(backbone=backbone, data_preprocessor=preprocess)))
    takes = model_channels(config, Compose(list(pipeline)))
    kinds = found(path, Decoder('cv2', flag, takes))
    return 'image channels do not match the model' not in kinds


def test_image_channels_must_match_the_model(tmp_path):
    colour, grey, four = (tmp_path / name for name in ('colour.png', 'grey.png', 'four.png'))
    Image.new('RGB', (8, 8)).save(colour)
    Image.new('L', (8, 8)).save(grey)
    Image.new('RGBA', (8, 8)).save(four)
    assert fit(colour)
    assert fit(colour, network=None, mean=3)  # three channels by default
    assert fit(grey)
    assert fit(grey, 'grayscale', network=1, mean=1)
    assert not fit(grey, 'grayscale')
    assert not fit(grey, 'grayscale', network=1, mean=3)
    assert not fit(grey, 'grayscale', network=3, mean=3)
    assert fit(grey, 'grayscale', network=3, mean=3, preprocessor='SegDataPreProcessor')
    assert fit(four, 'unchanged', network=4, mean=4, preprocessor='SegDataPreProcessor')
    assert not fit(four, 'unchanged', network=4, mean=3, preprocessor='SegDataPreProcessor')
    assert not fit(four, 'unchanged')
    assert fit(four, network=3)


def test_channels_are_unchecked_if_transforms_change_them(tmp_path):
    path = tmp_path / 'image.png'
    Image.new('RGB', (8, 8)).save(path)
    assert not fit(path, network=1)
    assert fit(path, network=1, pipeline=[RGB2Gray(out_channels=1)])


def test_images_of_a_split_must_have_equal_channels(tmp_path):
    split = Split('train_dataloader')
    for name, mode in (('a', 'RGB'), ('b', 'L'), ('c', 'RGB')):
        Image.new(mode, (8, 8), len(name)).save(tmp_path / f'{name}.png')
    as_stored = Decoder('cv2', 'unchanged')
    inspected = [
        inspect_image(str(tmp_path / f'{name}.png'), as_stored, **BOUNDS) for name in 'abc'
    ]
    add_images(split, inspected, 'here')
    kinds = {each['kind']: each for each in split.found()}
    assert kinds['images differ in their number of channels']['count'] == 1
    assert (
        'b.png: 1 channels, ' in kinds['images differ in their number of channels']['examples'][0]
    )
