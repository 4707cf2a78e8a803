"""Label map files: the labels that training reads from one, and what its loader changes."""

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
_BORDER = np.ones((7, 7), np.uint8)  # void between objects is about 5 pixels wide
_LOSSY = ('JPEG', 'MPO')
_GREY = 0  # PNG's colour type


@dataclass(frozen=True)
class LabelMap:
    """A label map.

    Attributes:
        path: Of the file.
        size: Width and height in pixels; None where it cannot be read.
        histogram: Pixels of each value, as MMSegmentation's loader reads them.
        inside: Pixels of each value that are not at a border between values.
        problem: Why it cannot be read, if so.
        findings: What the loader changes.
        colours: Of each value, where the file has a palette.
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
        """A label map that cannot be read."""
        nothing = np.zeros(VALUES, np.int64)
        return cls(path, None, nothing, nothing, problem, findings)


def look_at_labels(path: str, max_bytes: int, max_pixels: int, backend: str = 'pillow') -> LabelMap:
    """Read a label map to its last pixel, as MMSegmentation's ``LoadAnnotations`` does.

    Args:
        path: Of the file.
        max_bytes: Size of the file at most.
        max_pixels: Width times height at most.
        backend: The loader's ``imdecode_backend``.
    """
    try:
        content = read_regular_file(path, max_bytes)
        check_image(content, max_pixels)
        with pillow_limit(max_pixels):
            return _read(path, content, backend)
    except Exception as error:  # a decoder raises nearly anything on bytes that are no image
        return LabelMap.unreadable(path, reason(error))


def _read(path: str, content: bytes, backend: str) -> LabelMap:
    with Image.open(io.BytesIO(content)) as image:
        kind = f'{image.format} of mode {image.mode}'
        in_file = np.array(image)
        is_lossy = image.format in _LOSSY
        colours = _palette(image)
    if in_file.dtype == bool:  # of one bit a pixel
        in_file = in_file.astype(np.uint8)
    decoded = mmcv.imfrombytes(content, 'unchanged', backend=backend)
    if decoded is None:
        raise ValueError(f'{kind}, which imdecode_backend={backend!r} cannot read')
    decoded = decoded.squeeze()
    if decoded.ndim < 2:
        raise ValueError(
            f"{kind}, one pixel wide or high, a side that MMSegmentation's loader drops"
        )
    if decoded.ndim > 2:
        detail = f'{path}: {kind}, shape {decoded.shape}; {_way_out(image.mode, in_file, backend)}'
        return LabelMap.unreadable(
            path, None, (Finding('label map with more than one channel', detail),)
        )
    with np.errstate(invalid='ignore'):  # of fractions and NaN
        labels = decoded.astype(np.uint8)
    found = []
    if is_lossy:
        detail = f'{path}: {kind}, whose compression changes values; PNG keeps them'
        found.append(Finding('label map with lossy compression', detail))
    found += _changes(path, kind, in_file, labels, content)
    height, width = labels.shape
    is_inside = cv2.erode(labels, _BORDER) == cv2.dilate(labels, _BORDER)
    histogram, inside = _histogram(labels), _histogram(labels, is_inside)
    used = {value: colour for value, colour in colours.items() if histogram[value]}
    return LabelMap(path, (width, height), histogram, inside, None, tuple(found), used)


def _histogram(labels: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """Count values row by row: NumPy does it in a copy of eight bytes a pixel."""
    rows = labels if where is None else (row[here] for row, here in zip(labels, where, strict=True))
    return sum((np.bincount(row, minlength=VALUES) for row in rows), np.zeros(VALUES, np.int64))


def _palette(image: Image.Image) -> dict[int, tuple[int, ...]]:
    """Colours of a palette image by their index."""
    values = image.getpalette() if image.mode == 'P' else None
    colours = zip(*[iter(values or ())] * 3, strict=False)
    return dict(enumerate(colours))


def _way_out(mode: str, in_file: np.ndarray, backend: str) -> str:
    """How an image of several channels becomes a label map."""
    if mode == 'P' and backend != 'pillow':
        return f"imdecode_backend={backend!r} reads its colours, 'pillow' its indices"
    if in_file.ndim == 3 and all(
        np.array_equal(in_file[..., 0], in_file[..., i]) for i in range(min(3, in_file.shape[2]))
    ):
        return 'keep one channel: its colours are equal'
    return 'training reads one channel of indices, not colours'


def _changes(
    path: str, kind: str, in_file: np.ndarray, labels: np.ndarray, content: bytes
) -> list[Finding]:
    """Values that the loader turns into others."""
    depth = _bits_of_grey_png(content)
    if depth in (2, 4):
        detail = (
            f'{path}: {kind}, {depth} bits a pixel, which decoders scale to 8 bits: value 1 '
            f'becomes {255 // (2**depth - 1)}; save it with 8 bits a pixel'
        )
        # Programs that shrink PNGs make such of labels that are multiples, and lose nothing.
        return [Finding('label map whose values decoders scale', detail, is_error=False)]
    if in_file.shape != labels.shape:
        return []
    differ = in_file != labels
    if not differ.any():
        return []
    before, after = in_file[differ], labels[differ]
    detail = (
        f'{path}: {kind}, value {before[0].item()} becomes {after[0].item()}, at '
        f'{int(differ.sum())} pixels; MMSegmentation reads 8 bits a pixel'
    )
    # 65535, the void of 16 bits, becomes that of 8 bits.
    is_void = in_file.dtype == np.uint16 and (before == 2**16 - 1).all()
    return [Finding('label map whose values the loader changes', detail, is_error=not is_void)]


def _bits_of_grey_png(content: bytes) -> int | None:
    is_png = content[:8] == b'\x89PNG\r\n\x1a\n'
    return content[24] if is_png and content[25] == _GREY else None
