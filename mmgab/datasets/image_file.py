"""Read untrusted image files within limits on file size and decoded pixels."""

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

IMAGE_SUFFIXES = {'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'}
MAX_BYTES = 2**30  # size of a file
MAX_PIXELS = 178_956_970  # of an image; above it Pillow raises DecompressionBombError

_BACKEND = 'mmgab_bounded_images'
_WITHOUT_CHECK = 'max_pixels=None skips this check and leaves the file to the decoder'


def images_below(folder: Path) -> list[Path]:
    """Return the image files of a folder and its subfolders, by suffix, sorted by path."""
    return sorted(file for file in folder.rglob('*') if file.suffix.lower() in IMAGE_SUFFIXES)


def read_regular_file(path: str | Path, max_bytes: int | None = MAX_BYTES) -> bytes:
    """Read a local regular file; reject FIFOs and devices, which may block or never end.

    Args:
        path: Path of the file, or of a link to it.
        max_bytes: Maximum size; None for any size.

    Raises:
        OSError: If it cannot be opened or read.
        ValueError: If it is not a regular file or too large, or the name is invalid.
    """
    with open(path, 'rb', opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError('not a regular file but a FIFO, socket or device')
        if max_bytes is not None and status.st_size > max_bytes:
            raise ValueError(f'{status.st_size} bytes exceed max_bytes={max_bytes}')
        return file.read(status.st_size)


def check_image(content: bytes, max_pixels: int | None = MAX_PIXELS) -> None:
    """Check the header of an image before it is decoded.

    Args:
        content: Bytes of the file.
        max_pixels: Maximum width times height; None skips the check.

    Raises:
        ValueError: If the image has more pixels, if Pillow does not support the format or cannot
            parse the header, or if the file is Encapsulated PostScript, a program that Pillow
            would execute.
    """
    if max_pixels is None:
        return
    try:
        with pillow_limit(None), Image.open(io.BytesIO(content)) as image:
            kind, (width, height) = image.format, image.size
    except UnidentifiedImageError:
        raise ValueError(f'not an image format that Pillow supports; {_WITHOUT_CHECK}') from None
    except Exception as error:  # Pillow may raise any error on an invalid header
        raise ValueError(
            f'Pillow rejects its header ({type(error).__name__}: {error}); {_WITHOUT_CHECK}'
        ) from error
    if kind == 'EPS':
        raise ValueError('EPS files are PostScript programs, which are not executed')
    if width * height > max_pixels:
        raise ValueError(
            f'{width} x {height} pixels exceed max_pixels={max_pixels}; the file may be a '
            'decompression bomb'
        )


@contextmanager
def pillow_limit(max_pixels: int | None) -> Iterator[None]:
    """Let Pillow decode up to ``max_pixels`` (None for any size) without a warning.

    Pillow's limit is global to the process, so concurrent threads share it.
    """
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


@register_backend(_BACKEND, force=True)
class BoundedImages(BaseStorageBackend):
    """MMEngine file backend that reads images within limits on bytes and pixels.

    Args:
        max_bytes: See :func:`read_regular_file`. It applies to local files, as does the check for
            regular files; MMEngine's other backends have their own rules.
        max_pixels: See :func:`check_image`.
        inner: ``backend_args`` of the MMEngine backend that reads the file.
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
            ValueError: If it exceeds a limit.
        """
        backend = get_file_backend(filepath, backend_args=self.inner, enable_singleton=True)
        if type(backend) is LocalBackend:  # a subclass may read other storage than files
            content = read_regular_file(filepath, self.max_bytes)
        else:
            content = backend.get(filepath)
        check_image(content, self.max_pixels)
        return content

    def get_text(self, filepath: str | Path) -> str:
        """Raise an error: images are not text."""
        raise NotImplementedError(f'{_BACKEND} reads images, not text: {filepath}')


def bounded(backend_args: dict | None, max_bytes: int | None, max_pixels: int | None) -> dict:
    """Wrap a file backend with limits on bytes and pixels.

    Args:
        backend_args: MMEngine's ``backend_args``; None for local files.
        max_bytes: See :class:`BoundedImages`.
        max_pixels: See :class:`BoundedImages`.

    Returns:
        ``backend_args`` for any transform that loads an image.

    Raises:
        ValueError: If a limit is not positive.
    """
    for name, value in (('max_bytes', max_bytes), ('max_pixels', max_pixels)):
        if value is not None and value < 1:
            raise ValueError(f'{name} must be at least 1, got {value}')
    return dict(backend=_BACKEND, max_bytes=max_bytes, max_pixels=max_pixels, inner=backend_args)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file without blocking, as opening a FIFO would otherwise wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)
