"""Figures of a report: SVG markup, or embedded image files."""

import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_KIND = {'.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg'}


@dataclass(frozen=True)
class Figure:
    """A figure of the report, given by ``svg`` or by ``uri`` and ``width``.

    Attributes:
        caption: Caption below the figure.
        svg: SVG markup.
        uri: Embedded image as a ``data:`` URI.
        width: Width of the embedded image in pixels.
    """

    caption: str
    svg: str = ''
    uri: str = ''
    width: int = 0


def picture(path: Path, caption: str) -> Figure:
    """Embed an image file.

    Raises:
        OSError: If it cannot be read.
    """
    data = base64.b64encode(path.read_bytes()).decode()
    with Image.open(path) as image:
        image.load()  # raises an error if the file is truncated
        width = image.width
    return Figure(caption, uri=f'data:image/{_KIND[path.suffix]};base64,{data}', width=width)


def drawn(draw: Callable[[Path], object], caption: str) -> Figure:
    """Embed the image file that a function writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'figure.png')
        draw(path)
        return picture(path, caption)
