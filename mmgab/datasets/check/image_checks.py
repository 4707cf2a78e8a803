"""Image files: whether they open to the end, how large they are, and what training loses."""

import hashlib
import io
import traceback
from dataclasses import dataclass

import mmcv
from PIL import Image, ImageOps

from mmgab.datasets.image_file import check_image, pillow_limit, read_regular_file

from .findings import Finding
from .image_losses import losses
from .model_channels import ModelChannels


@dataclass(frozen=True)
class Decoder:
    """How training decodes images.

    Attributes:
        backend: MMCV's ``imdecode_backend``.
        flag: MMCV's ``color_type``.
        takes: Channels that the model takes; None where that is not known.
    """

    backend: str
    flag: str
    takes: ModelChannels | None = None


@dataclass(frozen=True)
class Looked:
    """An image file.

    Attributes:
        path: Of the file.
        size: Width and height in pixels, as training sees it: turned, where a camera said so. None
            where it cannot be read.
        digest: Of the file's bytes; empty where there is no file.
        problem: Why it cannot be read, if so.
        channels: As training reads it; None where it cannot be read, or not by MMCV.
        findings: What training loses of it.
    """

    path: str
    size: tuple[int, int] | None
    digest: str
    problem: str | None
    channels: int | None = None
    findings: tuple[Finding, ...] = ()

    @classmethod
    def unreadable(cls, path: str, problem: str, digest: str = '') -> 'Looked':
        """An image file that cannot be read."""
        return cls(path, None, digest, problem)


def look(path: str, decoder: Decoder | None, max_bytes: int, max_pixels: int) -> Looked:
    """Read an image to its last pixel.

    Args:
        path: Of the file.
        decoder: Of training; None where it is not MMCV's.
        max_bytes: Size of the file at most.
        max_pixels: Width times height at most.
    """
    digest = ''
    try:
        content = read_regular_file(path, max_bytes)
        digest = hashlib.sha256(content).hexdigest()
        check_image(content, max_pixels)
        with pillow_limit(max_pixels):
            return _decode(path, content, digest, decoder)
    except Exception as error:  # a decoder raises nearly anything on bytes that are no image
        return Looked.unreadable(path, reason(error), digest)


def reason(error: Exception) -> str:
    """Why a file cannot be read, or a thing not built; of an error without a text, its line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [frame.line or '' for frame in traceback.extract_tb(error.__traceback__)[-1:]]
    return f'{type(error).__name__}: {str(error) or "".join(lines)}'


def _decode(path: str, content: bytes, digest: str, decoder: Decoder | None) -> Looked:
    """Decode an image with Pillow, which notices more defects, and then as training does."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        kind = f'{image.format} of mode {image.mode}'
        has_wide_values = image.mode[0] in 'IF'  # more than 8 bits each
        if decoder is None:
            return Looked(path, ImageOps.exif_transpose(image).size, digest, None)
        if has_wide_values and decoder.backend == 'pillow':
            raise ValueError(f'{kind}, whose values Pillow would cut off at 255 in training')
        decoded = mmcv.imfrombytes(content, decoder.flag, backend=decoder.backend)
        if decoded is None:
            raise ValueError(f'{kind}, which imdecode_backend={decoder.backend!r} cannot read')
        found = [*losses(path, image, content, decoded, decoder.flag, decoder.backend)]
        height, width = decoded.shape[:2]
        channels = decoded.shape[2] if decoded.ndim == 3 else 1
        unfit = decoder.takes and decoder.takes.problem(channels)
        if unfit:
            detail = f'{path}: {channels} with color_type={decoder.flag!r}, {unfit}'
            kind = 'image with a number of channels that the model does not take'
            found.append(Finding(kind, detail))
        return Looked(path, (width, height), digest, None, channels, tuple(found))
