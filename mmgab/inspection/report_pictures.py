"""Figures and picture files inside the page of a report."""

import base64
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

_KIND = {'.png': 'png', '.jpg': 'jpeg', '.jpeg': 'jpeg'}


@dataclass(frozen=True)
class Figure:
    """A figure of the page.

    Attributes:
        caption: What it shows.
        svg: Its markup, or
        uri: its picture as a ``data:`` address, and
        width: of it, in pixels.
    """

    caption: str
    svg: str = ''
    uri: str = ''
    width: int = 0


def picture(path: Path, caption: str) -> Figure:
    """A picture file inside the page.

    Raises:
        OSError: If it cannot be read.
    """
    data = base64.b64encode(path.read_bytes()).decode()
    with Image.open(path) as image:
        image.load()  # so that one that is cut off is an error here
        width = image.width
    return Figure(caption, uri=f'data:image/{_KIND[path.suffix]};base64,{data}', width=width)


def drawn(draw: Callable[[Path], object], caption: str) -> Figure:
    """What a function draws into a file, inside the page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'figure.png')
        draw(path)
        return picture(path, caption)
