"""Inspect label map files: the labels that training reads, and values the loader changes."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import mmcv
import numpy as np
from PIL import Image

from mmgab.datasets.image_file import check_image, pillow_limit, read_regular_file

from .findings import Finding
from .image_checks import reason

VALUES = 256
_BORDER = np.ones((7, 7), np.uint8)  # void borders between objects are about 5 pixels wide
_LOSSY = ('JPEG', 'MPO')
_GREY = 0  # PNG colour type


@dataclass(frozen=True)
class LabelMap:
    """Inspected label map.

    Attributes:
        path: Path of the file.
        size: Width and height in pixels; None if the file cannot be read.
        histogram: Pixels per value, as MMSegmentation's loader reads them.
        inside: Pixels per value that are not at a border between values.
        problem: Reason why the file cannot be read; None if it can.
        findings: Findings about values that the loader changes.
        colours: Palette colour of each value, if the file has a palette.
    """

    path: str
    size: tuple[int, int] | None
    histogram: np.ndarray
    inside: np.ndarray
    problem: str | None = None
    findings: tuple[Finding, ...] = ()
    colours: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def unreadable(
        cls, path: str, problem: str | None, findings: tuple[Finding, ...] = ()
    ) -> 'LabelMap':
        """Return an unreadable label map."""
        nothing = np.zeros(VALUES, np.int64)
        return cls(path, None, nothing, nothing, problem, findings)


def inspect_label_map(
    path: str, max_bytes: int, max_pixels: int, backend: str = 'pillow'
) -> LabelMap:
    """Decode a label map completely, as MMSegmentation's ``LoadAnnotations`` does.

    Args:
        path: Path of the file.
        max_bytes: Maximum size of the file.
        max_pixels: Maximum width times height.
        backend: The loader's ``imdecode_backend``.
    """
    try:
        content = read_regular_file(path, max_bytes)
        check_image(content, max_pixels)
        with pillow_limit(max_pixels):
            return _read(path, content, backend)
    except Exception as error:  # a decoder may raise any error on invalid bytes
        return LabelMap.unreadable(path, reason(error))


def _read(path: str, content: bytes, backend: str) -> LabelMap:
    with Image.open(io.BytesIO(content)) as image:
        kind = f'{image.format} of mode {image.mode}'
        in_file = np.array(image)
        is_lossy = image.format in _LOSSY
        colours = _palette(image)
    if in_file.dtype == bool:  # one bit per pixel
        in_file = in_file.astype(np.uint8)
    decoded = mmcv.imfrombytes(content, 'unchanged', backend=backend)
    if decoded is None:
        raise ValueError(f'{kind}, which imdecode_backend={backend!r} cannot read; save it as PNG')
    decoded = decoded.squeeze()
    if decoded.ndim < 2:
        raise ValueError(
            f"{kind}, one pixel wide or high; MMSegmentation's loader squeezes this dimension"
        )
    if decoded.ndim > 2:
        advice = _channel_advice(image.mode, in_file, backend)
        detail = f'{path}: {kind}, shape {decoded.shape}; {advice}'
        return LabelMap.unreadable(
            path, None, (Finding('label map with more than one channel', detail),)
        )
    with np.errstate(invalid='ignore'):  # casts of fractions and NaN
        labels = decoded.astype(np.uint8)
    found = []
    if is_lossy:
        detail = f'{path}: {kind}, whose compression changes label values; save it as PNG'
        found.append(Finding('label map with lossy compression', detail))
    found += _changes(path, kind, in_file, labels, content)
    height, width = labels.shape
    is_inside = cv2.erode(labels, _BORDER) == cv2.dilate(labels, _BORDER)
    histogram, inside = _histogram(labels), _histogram(labels, is_inside)
    used = {value: colour for value, colour in colours.items() if histogram[value]}
    return LabelMap(path, (width, height), histogram, inside, None, tuple(found), used)


def _histogram(labels: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Count values row by row, as ``np.bincount`` copies its input to 8 bytes per pixel."""
    rows = labels if where is None else (row[here] for row, here in zip(labels, where, strict=True))
    return sum((np.bincount(row, minlength=VALUES) for row in rows), np.zeros(VALUES, np.int64))


def _palette(image: Image.Image) -> dict[int, tuple[int, ...]]:
    """Return the palette colours of an image by index."""
    values = image.getpalette() if image.mode == 'P' else None
    colours = zip(*[iter(values or ())] * 3, strict=False)
    return dict(enumerate(colours))


def _channel_advice(mode: str, in_file: np.ndarray, backend: str) -> str:
    """Explain how to turn an image with several channels into a label map."""
    if mode == 'P' and backend != 'pillow':
        return f"imdecode_backend={backend!r} reads palette colours, 'pillow' reads palette indices"
    if in_file.ndim == 3 and all(
        np.array_equal(in_file[..., 0], in_file[..., i]) for i in range(min(3, in_file.shape[2]))
    ):
        return 'its channels are equal, save one of them'
    return 'expected one channel of class indices, not colours'


def _changes(
    path: str, kind: str, in_file: np.ndarray, labels: np.ndarray, content: bytes
) -> list[Finding]:
    """Report values that the loader changes."""
    depth = _bits_of_grey_png(content)
    if depth in (2, 4):
        detail = (
            f'{path}: {kind}, {depth} bits per pixel, value 1 becomes '
            f'{255 // (2**depth - 1)} when decoded to 8 bits; save it with 8 bits per pixel'
        )
        # PNG optimizers write labels that are such multiples with fewer bits, without loss.
        return [Finding('label map values are scaled by the decoder', detail, is_error=False)]
    if in_file.shape != labels.shape:
        return []
    differ = in_file != labels
    if not differ.any():
        return []
    before, after = in_file[differ], labels[differ]
    detail = (
        f'{path}: {kind}, value {before[0].item()} becomes {after[0].item()} in '
        f'{int(differ.sum())} pixels; save it with 8 bits per pixel'
    )
    # 65535, the void value of 16 bits, becomes 255, the void value of 8 bits.
    is_void = in_file.dtype == np.uint16 and (before == 2**16 - 1).all()
    return [Finding('label map values are changed by the loader', detail, is_error=not is_void)]


def _bits_of_grey_png(content: bytes) -> int | None:
    is_png = content[:8] == b'\x89PNG\r\n\x1a\n'
    return content[24] if is_png and content[25] == _GREY else None
