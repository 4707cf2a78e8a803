"""Non-regular, oversized and non-image files are rejected before decoding."""

import io
import os
import socket
import struct
import warnings
import zlib

import cv2
import numpy as np
import pytest
from mmengine.fileio import LocalBackend, get, register_backend
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mmgab.datasets.image_file import bounded, check_image, pillow_limit, read_regular_file


def png(width, height):
    """Return a small PNG file whose header claims the given size."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', checksum)

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        chunk(*each) for each in ((b'IHDR', header), (b'IDAT', pixels), (b'IEND', b''))
    )


def encoded(image, kind, **settings):
    with io.BytesIO() as file:
        image.save(file, kind, **settings)
        return file.getvalue()


@pytest.fixture(params=['fifo', 'socket', 'device', 'endless'])
def irregular(request, tmp_path):
    """Return a path that is not a regular file."""
    path = tmp_path / 'image.png'
    if request.param == 'fifo':
        os.mkfifo(path)
    elif request.param == 'socket':
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to({'device': '/dev/null', 'endless': '/dev/zero'}[request.param])
    return path


def test_only_regular_files_are_read(irregular):
    with pytest.raises((OSError, ValueError), match=r'not a regular file|No such device'):
        read_regular_file(irregular)


@pytest.mark.parametrize(
    'name',
    ['folder', 'missing', 'loop', 'nul\0.png', '\ud800.png'],
    ids=['folder', 'missing', 'loop', 'nul', 'surrogate'],
)
def test_path_without_a_file_raises_an_error(name, tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'loop').symlink_to('loop')
    with pytest.raises((OSError, ValueError)):
        read_regular_file(tmp_path / name)


def test_max_bytes_limits_file_size(tmp_path):
    path, link = tmp_path / 'file', tmp_path / 'link'
    path.write_bytes(b'content')
    link.symlink_to(path)
    assert read_regular_file(path, 7) == read_regular_file(link, None) == b'content'
    with pytest.raises(ValueError, match='7 bytes exceed max_bytes=6'):
        read_regular_file(path, 6)


def test_sparse_file_is_rejected_by_its_size(tmp_path):
    path = tmp_path / 'image.png'
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(ValueError, match=f'{2**40} bytes exceed max_bytes='):
        read_regular_file(path)


def test_decompression_bomb_is_rejected_by_its_header():
    with pytest.raises(ValueError, match='50000 x 50000 pixels exceed max_pixels='):
        check_image(png(50_000, 50_000))
    check_image(png(50_000, 50_000), None)


@pytest.mark.parametrize('kind', ['PNG', 'JPEG', 'BMP', 'TIFF', 'WEBP', 'PPM'])
def test_max_pixels_is_an_exact_limit(kind):
    content = encoded(Image.new('RGB', (30, 20)), kind)
    check_image(content, 600)
    with pytest.raises(ValueError, match='30 x 20 pixels exceed max_pixels=599'):
        check_image(content, 599)


def test_max_pixels_above_pillows_limit_is_applied():
    pixels = 2 * Image.MAX_IMAGE_PIXELS + 30_000
    check_image(png(pixels // 10_000, 10_000), 10 * pixels)


def test_unknown_format_needs_max_pixels_none():
    content = cv2.imencode('.hdr', np.ones((4, 4, 3), np.float32))[1].tobytes()
    with pytest.raises(
        ValueError, match='max_pixels=None skips this check and leaves the file to the decoder'
    ):
        check_image(content)
    check_image(content, None)


def test_header_rejected_by_pillow_needs_max_pixels_none():
    """Pillow limits the size of text chunks in a PNG, OpenCV does not."""
    texts = PngInfo()
    texts.add_text('workflow', 'x' * 10**7, zip=True)
    content = encoded(Image.new('RGB', (8, 8)), 'PNG', pnginfo=texts)
    with pytest.raises(ValueError, match=r'Pillow rejects its header .* max_pixels=None'):
        check_image(content)
    check_image(content, None)


def test_eps_file_is_rejected():
    with pytest.raises(ValueError, match='EPS'):
        check_image(encoded(Image.new('RGB', (8, 8)), 'EPS'))


def test_pillow_limit_replaces_pillows_warning_and_limit():
    content = encoded(Image.new('1', (10_000, 10_000)), 'PNG')
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pillow_limit(10**8), Image.open(io.BytesIO(content)) as image:
            image.load()
    with pytest.raises(Image.DecompressionBombError), pillow_limit(10**7):
        Image.open(io.BytesIO(content))
    assert before == Image.MAX_IMAGE_PIXELS  # also after an error


@register_backend('test_archive', force=True)
class Archive(LocalBackend):
    """Backend derived from LocalBackend whose paths are not files."""

    def get(self, filepath):
        return png(30, 20)


def test_other_backends_have_only_the_pixel_limit(tmp_path):
    path = tmp_path / 'images.zip' / '1.png'
    given = dict(backend='test_archive')
    assert get(path, backend_args=bounded(given, 1, 600)) == png(30, 20)
    with pytest.raises(ValueError, match='30 x 20 pixels'):
        get(path, backend_args=bounded(given, None, 599))


@pytest.mark.parametrize('given', [None, dict(backend='local')])
def test_local_files_have_both_limits(given, tmp_path):
    path = tmp_path / '1.png'
    path.write_bytes(png(30, 20))
    size = path.stat().st_size
    assert get(path, backend_args=bounded(given, size, 600)) == png(30, 20)
    for bounds, message in (((size - 1, 600), 'max_bytes'), ((size, 599), 'max_pixels')):
        with pytest.raises(ValueError, match=message):
            get(path, backend_args=bounded(given, *bounds))
