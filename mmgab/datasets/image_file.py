"""Reading of image files that may be anything: bounds on the file and on what it decodes to."""

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.fileio import (
    BaseStorageBackend,
    LocalBackend,
    get_file_backend,
    register_backend,
)
from PIL import Image, UnidentifiedImageError

MAX_BYTES = 2**30  # of a file
MAX_PIXELS = 178_956_970  # of an image; where Pillow refuses one as a decompression bomb

_BACKEND = 'mmgab_bounded_images'
_WITHOUT_CHECK = 'max_pixels=None leaves it to the decoder, whatever its size'


def read_regular_file(path: str | Path, max_bytes: int | None = MAX_BYTES) -> bytes:
    """Read a local file that must be regular: a FIFO may wait for ever, a device never end.

    Args:
        path: Of the file, or of a link to it.
        max_bytes: How large it may be; None for any size.

    Raises:
        OSError: If it cannot be opened or read.
        ValueError: If it is not a regular file or too large, or no file can have this name.
    """
    with open(path, 'rb', opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError('a FIFO, socket or device, which is not read: not a regular file')
        if max_bytes is not None and status.st_size > max_bytes:
            raise ValueError(f'{status.st_size} bytes, more than the {max_bytes} of max_bytes')
        return file.read(status.st_size)


def check_image(content: bytes, max_pixels: int | None = MAX_PIXELS) -> None:
    """Look at the header of an image before it is decoded.

    Args:
        content: Of the file.
        max_pixels: Width times height at most; None checks nothing.

    Raises:
        ValueError: If there are more pixels; if Pillow, which reads the header, does not know the
            format or refuses the header; or if it is Encapsulated PostScript, which is a program
            that Pillow would have executed.
    """
    if max_pixels is None:
        return
    try:
        with pillow_limit(None), Image.open(io.BytesIO(content)) as image:
            kind, (width, height) = image.format, image.size
    except UnidentifiedImageError:
        raise ValueError(f'no image format that Pillow knows; {_WITHOUT_CHECK}') from None
    except Exception as error:  # nearly anything, on a header that is none
        raise ValueError(
            f'Pillow refuses its header ({type(error).__name__}: {error}); {_WITHOUT_CHECK}'
        ) from error
    if kind == 'EPS':
        raise ValueError('an EPS file, which is a program: it is not executed')
    if width * height > max_pixels:
        raise ValueError(
            f'{width} x {height} pixels, more than the {max_pixels} of max_pixels: it may be a '
            'decompression bomb'
        )


@contextmanager
def pillow_limit(max_pixels: int | None) -> Iterator[None]:
    """Let Pillow decode images of up to ``max_pixels``, of any size for None, and not warn.

    Pillow's own limit is a global of the process: threads that decode at once share it.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@register_backend(_BACKEND, force=True)
class BoundedImages(BaseStorageBackend):
    """MMEngine's file backend that gives the bytes of images within bounds, and no others.

    Args:
        max_bytes: See :func:`read_regular_file`. It holds for local files, as does the rule that
            files must be regular; MMEngine's other backends have rules of their own.
        max_pixels: See :func:`check_image`.
        inner: MMEngine's ``backend_args`` of the backend that reads.
    """

    def __init__(
        self, max_bytes: int | None, max_pixels: int | None, inner: dict | None = None
    ) -> None:
        self.max_bytes = max_bytes
        self.max_pixels = max_pixels
        self.inner = inner

    def get(self, filepath: str | Path) -> bytes:
        """Read an image file.

        Raises:
            OSError: If it cannot be read.
            ValueError: If it is out of bounds.
        """
        backend = get_file_backend(filepath, backend_args=self.inner, enable_singleton=True)
        if type(backend) is LocalBackend:  # a subclass may read what is no file
            content = read_regular_file(filepath, self.max_bytes)
        else:
            content = backend.get(filepath)
        check_image(content, self.max_pixels)
        return content

    def get_text(self, filepath: str | Path) -> str:
        """Raise an error: images are not text."""
        raise NotImplementedError(f'{_BACKEND} reads images, {filepath} was asked for as text')


def bounded(backend_args: dict | None, max_bytes: int | None, max_pixels: int | None) -> dict:
    """Put bounds on a file backend.

    Args:
        backend_args: MMEngine's; None for local files.
        max_bytes: See :class:`BoundedImages`.
        max_pixels: See :class:`BoundedImages`.

    Returns:
        ``backend_args`` for any transform that loads an image.

    Raises:
        ValueError: If a bound is not positive.
    """
    for name, value in (('max_bytes', max_bytes), ('max_pixels', max_pixels)):
        if value is not None and value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')
    return dict(backend=_BACKEND, max_bytes=max_bytes, max_pixels=max_pixels, inner=backend_args)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file, a FIFO too, whose opening would otherwise wait for somebody who writes."""
    return os.open(path, flags | os.O_NONBLOCK)
