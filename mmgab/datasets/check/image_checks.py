"""Inspect image files: decoding, size, channels, and what training does not use."""

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
    """Settings of the image decoder in training.

    Attributes:
        backend: MMCV's ``imdecode_backend``.
        flag: MMCV's ``color_type``.
        takes: Channels that the model expects; None if unknown.
    """

    backend: str
    flag: str
    takes: ModelChannels | None = None


@dataclass(frozen=True)
class InspectedImage:
    """Inspected image file.

    Attributes:
        path: Path of the file.
        size: Width and height in pixels as in training, after the EXIF orientation. None if the
            file cannot be read.
        digest: SHA-256 of the file; empty if the file does not exist.
        problem: Reason why the file cannot be read; None if it can.
        channels: Number of channels in training; None if unreadable or not decoded by MMCV.
        findings: Findings about the content.
    """

    path: str
    size: tuple[int, int] | None
    digest: str
    problem: str | None
    channels: int | None = None
    findings: tuple[Finding, ...] = ()

    @classmethod
    def unreadable(cls, path: str, problem: str, digest: str = '') -> 'InspectedImage':
        """Return an unreadable image."""
        return cls(path, None, digest, problem)


def inspect_image(
    path: str, decoder: Decoder | None, max_bytes: int, max_pixels: int
) -> InspectedImage:
    """Decode an image completely, as training does.

    Args:
        path: Path of the file.
        decoder: Decoder of training; None if it is not MMCV's.
        max_bytes: Maximum size of the file.
        max_pixels: Maximum width times height.
    """
    digest = ''
    try:
        content = read_regular_file(path, max_bytes)
        digest = hashlib.sha256(content).hexdigest()
        check_image(content, max_pixels)
        with pillow_limit(max_pixels):
            return _decode(path, content, digest, decoder)
    except Exception as error:  # a decoder may raise any error on invalid bytes
        return InspectedImage.unreadable(path, reason(error), digest)


def reason(error: Exception) -> str:
    """Return an error as text; for an error without a message, the source line that raised it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [frame.line or '' for frame in traceback.extract_tb(error.__traceback__)[-1:]]
    return f'{type(error).__name__}: {str(error) or "".join(lines)}'


def _decode(path: str, content: bytes, digest: str, decoder: Decoder | None) -> InspectedImage:
    """Decode an image with Pillow, which detects more defects, and then as training does."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        kind = f'{image.format} of mode {image.mode}'
        has_wide_values = image.mode[0] in 'IF'  # more than 8 bits each
        if decoder is None:
            return InspectedImage(path, ImageOps.exif_transpose(image).size, digest, None)
        if has_wide_values and decoder.backend == 'pillow':
            raise ValueError(f"{kind}: imdecode_backend='pillow' clips its values at 255")
        decoded = mmcv.imfrombytes(content, decoder.flag, backend=decoder.backend)
        if decoded is None:
            raise ValueError(
                f'{kind}, which imdecode_backend={decoder.backend!r} cannot read; convert the file '
                'or set another backend'
            )
        found = [*losses(path, image, content, decoded, decoder.flag, decoder.backend)]
        height, width = decoded.shape[:2]
        channels = decoded.shape[2] if decoded.ndim == 3 else 1
        unfit = decoder.takes and decoder.takes.problem(channels)
        if unfit:
            detail = f'{path}: {channels} channels with color_type={decoder.flag!r}, {unfit}'
            kind = 'image channels do not match the model'
            found.append(Finding(kind, detail))
        return InspectedImage(path, (width, height), digest, None, channels, tuple(found))
