"""Find what training drops from an image: bit depth, alpha, colour profile, frames, EXIF."""

from collections.abc import Iterator

import mmcv
import numpy as np
from PIL import Image, TiffImagePlugin

from .findings import Finding

_ORIENTATION = 0x0112  # EXIF
_BITS_PER_SAMPLE = 258  # TIFF
_KINDS_WITH_PREVIEWS = ('MPO', 'JPEG')  # further frames are previews or gain maps
_FEW = 16  # grey levels
_TURNING = ('color', 'grayscale')


def losses(
    path: str, image: Image.Image, content: bytes, decoded: np.ndarray, flag: str, backend: str
) -> Iterator[Finding]:
    """Compare an image file with the output of training's decoder.

    Args:
        path: Path of the file.
        image: The image loaded by Pillow.
        content: Bytes of the file.
        decoded: Output of training's decoder.
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
        detail = f'{path}: {image.format} with {frames} frames or pages; training reads the first'
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
        does = 'training ignores it, viewers that apply EXIF show a rotated image'
    else:
        does = 'training applies it, annotations must match the rotated image'
    yield Finding(
        'image with an EXIF orientation', f'{path}: orientation {orientation}; {does}', False
    )


def _bits(image: Image.Image, content: bytes) -> int:
    """Return the bits per channel in the file; Pillow reports 8 for colour images."""
    if image.format == 'PNG':
        return content[24]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,)))
    return 16 if image.mode[0] in 'IF' else 8


def _depth(path: str, values: np.ndarray, decoded: np.ndarray) -> Iterator[Finding]:
    """Compare the grey levels of a file of more than 8 bits with the decoded ones."""
    before, after = np.unique(values), np.unique(decoded)
    if len(after) >= len(before):
        return
    detail = (
        f'{path}: {len(before)} values from {before[0]} to {before[-1]} become {len(after)} from '
        f"{after[0]} to {after[-1]}; rescale to 8 bits, or load with color_type='unchanged'"
    )
    yield Finding('image with more than 8 bits per channel', detail, is_error=len(after) < _FEW)


def _colours(path: str, image: Image.Image) -> Iterator[Finding]:
    if image.mode == 'CMYK':
        detail = f'{path}: mode CMYK; training converts it without its colour profile'
        yield Finding('image that is not RGB', detail, is_error=False)
    elif image.has_transparency_data:
        lowest, highest = image.convert('RGBA').getchannel('A').getextrema()
        if lowest != highest:
            detail = f'{path}: mode {image.mode}, alpha from {lowest} to {highest} is dropped'
            yield Finding('image loses its alpha channel', detail, is_error=False)
