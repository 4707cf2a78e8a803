"""An image is sound if training's decoder reads it, and to the size that it gives."""

import io

import cv2
import mmcv
import numpy as np
import pytest
from image_checks import Decoder, look
from PIL import Image
from semantic_checks import look_at_labels

BOUNDS = dict(max_bytes=10**7, max_pixels=10**7)
CV2, PILLOW = Decoder('cv2', 'color'), Decoder('pillow', 'color')
GREY = np.arange(64 * 48).reshape(48, 64)


def written(tmp_path, values, suffix):
    """A file of these values; OpenCV writes what Pillow does not."""
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
def test_images_that_training_reads_are_sound(values, suffix, tmp_path):
    found = look(written(tmp_path, values, suffix), CV2, **BOUNDS)
    assert found.problem is None
    assert found.size == (64, 48)


@pytest.mark.parametrize('kind', [np.float32, np.int32])
def test_images_of_floats_and_long_integers_are_named(kind, tmp_path):
    path = written(tmp_path, GREY.astype(kind), '.tiff')
    assert 'TIFF of mode' in look(path, CV2, **BOUNDS).problem
    assert 'cut off at 255' in look(path, PILLOW, **BOUNDS).problem


def test_images_of_16_bits_are_named_where_pillow_would_cut_them_off(tmp_path):
    path = written(tmp_path, GREY.astype(np.uint16), '.png')
    assert 'cut off at 255' in look(path, PILLOW, **BOUNDS).problem


@pytest.mark.parametrize('suffix', ['.tga', '.pcx', '.ico', '.dds', '.sgi'])
def test_formats_that_training_does_not_know_are_named(suffix, tmp_path):
    path = written(tmp_path, GREY.astype(np.uint8)[:32, :32], suffix)
    assert "imdecode_backend='cv2' cannot read" in look(path, CV2, **BOUNDS).problem
    assert look(path, None, **BOUNDS).problem is None


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp', '.tiff'])
@pytest.mark.parametrize('decoder', [CV2, PILLOW], ids=['cv2', 'pillow'])
def test_a_turned_image_has_the_size_that_training_gives_it(suffix, decoder, tmp_path):
    path = tmp_path / f'image{suffix}'
    image = Image.new('RGB', (64, 48))
    image.getexif()[0x0112] = 6  # orientation: a quarter turn
    image.save(path, exif=image.getexif())
    trained = mmcv.imfrombytes(path.read_bytes(), backend=decoder.backend)
    assert look(str(path), decoder, **BOUNDS).size == trained.shape[1::-1]


def test_bounds_are_those_given(tmp_path):
    path = written(tmp_path, GREY.astype(np.uint8), '.png')
    for bounds in (dict(max_bytes=9, max_pixels=10**6), dict(max_bytes=10**6, max_pixels=9)):
        for found in (look(path, CV2, **bounds), look_at_labels(path, **bounds)):
            assert found.size is None
            assert 'more than the 9 of max_' in found.problem


def test_any_truncation_and_any_flipped_byte_is_looked_at(tmp_path):
    """Whatever decoders raise, MemoryError and struct.error among it."""
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
            found = look(str(path), CV2, **BOUNDS), look_at_labels(str(path), **BOUNDS)
            assert all((each.size is None) == (each.problem is not None) for each in found)


@pytest.mark.parametrize('kind', [np.float32, np.int32, np.uint16])
def test_label_maps_of_more_than_a_byte_are_named(kind, tmp_path):
    path = written(tmp_path, GREY.astype(kind), '.tiff')
    assert 'not one byte a pixel' in look_at_labels(path, **BOUNDS).problem


def test_label_maps_of_one_bit_are_0_and_1_as_in_training(tmp_path):
    found = look_at_labels(written(tmp_path, GREY % 2 == 0, '.png'), **BOUNDS)
    assert found.problem is None
    assert found.histogram[[0, 1]].tolist() == [GREY.size // 2] * 2
    assert found.histogram.sum() == GREY.size
