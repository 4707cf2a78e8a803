"""Image files: whether they open to the end, how large they are, and which are the same."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps


@dataclass(frozen=True)
class Looked:
    """An image file.

    Attributes:
        path: Of the file.
        size: Width and height in pixels; None where it cannot be read.
        digest: Of the file's bytes; empty where there is no file.
        problem: Why it cannot be read, if so.
    """

    path: str
    size: tuple[int, int] | None
    digest: str
    problem: str | None


def look(path: str) -> Looked:
    """Read an image to its last pixel."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return Looked(path, None, '', error.strerror or str(error))
    digest = hashlib.sha256(content).hexdigest()
    try:
        with Image.open(path) as image:
            image.load()
            # As training sees it: turned, where a camera said so.
            return Looked(path, ImageOps.exif_transpose(image).size, digest, None)
    except Exception as error:  # a decoder raises nearly anything on bytes that are no image
        return Looked(path, None, digest, f'{type(error).__name__}: {error}')
