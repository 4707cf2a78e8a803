"""What an image loses when training loads it: depth, transparency, colours, frames, its turn."""

from collections.abc import Iterator

import mmcv
import numpy as np
from PIL import Image, TiffImagePlugin

from .findings import Finding

_ORIENTATION = 0x0112  # EXIF
_BITS_PER_SAMPLE = 258  # TIFF
_KINDS_WITH_PREVIEWS = ('MPO', 'JPEG')  # further frames are previews or gain maps
_FEW = 16  # levels of grey
_TURNING = ('color', 'grayscale')


def losses(
    path: str, image: Image.Image, content: bytes, decoded: np.ndarray, flag: str, backend: str
) -> Iterator[Finding]:
    """Compare an image file with what training's decoder makes of it.

    Args:
        path: Of the file.
        image: Loaded by Pillow.
        content: Of the file.
        decoded: By training's decoder.
        flag: MMCV's ``color_type``.
        backend: MMCV's ``imdecode_backend``.
    """
    yield from _turn(path, image, content, decoded, flag, backend)
    if decoded.dtype == np.uint8 and _bits(image, content) > 8:
        values = mmcv.imfrombytes(content, 'unchanged', backend='cv2')
        if values is not None:
            yield from _depth(path, values, decoded)
    if flag != 'unchanged':
        yield from _colours(path, image)
    frames = getattr(image, 'n_frames', 1)
    if frames > 1 and image.format not in _KINDS_WITH_PREVIEWS and backend != 'tifffile':
        detail = f'{path}: {image.format} of {frames} frames or pages; training reads the first'
        yield Finding('image with several frames', detail, is_error=False)


def _turn(
    path: str, image: Image.Image, content: bytes, decoded: np.ndarray, flag: str, backend: str
) -> Iterator[Finding]:
    orientation = image.getexif().get(_ORIENTATION, 1)
    if orientation not in range(2, 9):
        return
    as_stored = decoded
    if flag in _TURNING and backend in ('cv2', 'pillow'):
        as_stored = mmcv.imfrombytes(content, f'{flag}_ignore_orientation', backend=backend)
    if np.array_equal(as_stored, decoded):
        does = 'training reads it as it is stored, programs that read EXIF show it turned'
    else:
        does = 'training turns it, and its annotations must be those of the turned image'
    yield Finding('image with an EXIF orientation', f'{path}: {orientation}; {does}', False)


def _bits(image: Image.Image, content: bytes) -> int:
    """Bits of a value in the file; Pillow shows those of colours as 8."""
    if image.format == 'PNG':
        return content[24]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,)))
    return 16 if image.mode[0] in 'IF' else 8


def _depth(path: str, values: np.ndarray, decoded: np.ndarray) -> Iterator[Finding]:
    """Compare the levels of grey of a file of more than 8 bits with those of 8 bits."""
    before, after = np.unique(values), np.unique(decoded)
    if len(after) >= len(before):
        return
    detail = (
        f'{path}: {len(before)} levels from {before[0]} to {before[-1]} become {len(after)} from '
        f"{after[0]} to {after[-1]}; rescale to 8 bits, or load with color_type='unchanged'"
    )
    yield Finding('image with more than 8 bits a value', detail, is_error=len(after) < _FEW)


def _colours(path: str, image: Image.Image) -> Iterator[Finding]:
    if image.mode == 'CMYK':
        detail = f'{path}: CMYK, which training converts without its colour profile'
        yield Finding('image that is not RGB', detail, is_error=False)
    elif image.has_transparency_data:
        lowest, highest = image.convert('RGBA').getchannel('A').getextrema()
        if lowest != highest:
            detail = f'{path}: mode {image.mode}, alpha from {lowest} to {highest}'
            yield Finding('image whose transparency is lost', detail, is_error=False)
