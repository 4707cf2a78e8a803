"""Inputs of a prediction: image files, folders, glob patterns, videos and cameras."""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmgab.datasets.image_file import IMAGE_SUFFIXES, images_below

VIDEO_SUFFIXES = {'.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm'}
_DEFAULT_FPS = 25.0  # of a camera or container that reports none


@dataclass(frozen=True)
class Frame:
    """An image to predict.

    Attributes:
        name: Unique name without suffix, relative, for output files: ``'day1/photo'``; for a frame
            of a video ``'clip/000012'``.
        file_name: Name in results: ``'day1/photo.jpg'``; for a frame of a video
            ``'clip.mp4#12'``.
        path: Image file; None for a frame of a video.
        pixels: ``(H, W, 3)``, BGR, of a frame of a video; None for an image file.
        video: The video or camera that it belongs to.
    """

    name: str
    file_name: str
    path: Path | None = None
    pixels: np.ndarray | None = None
    video: 'Video | None' = None


@dataclass(frozen=True)
class Image:
    """An image file.

    Attributes:
        name: See :class:`Frame`.
        file_name: See :class:`Frame`.
        path: The file.
    """

    name: str
    file_name: str
    path: Path

    def __len__(self) -> int:
        return 1

    def frames(self) -> Iterator[Frame]:
        """Yield the only one."""
        yield Frame(self.name, self.file_name, self.path)


class Video:
    """A video file or a camera.

    Args:
        name: Name for output files, without suffix.
        source: The file, or the index of the camera.

    Attributes:
        fps: Frames per second.

    Raises:
        ValueError: If it cannot be opened.
    """

    def __init__(self, name: str, source: Path | int) -> None:
        self.name = name
        self.file_name = f'camera{source}' if isinstance(source, int) else source.name
        self._source = source if isinstance(source, int) else str(source)
        capture = self._open()
        self.fps = capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_FPS
        self._count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()

    def __len__(self) -> int:
        """Return the number of frames that the file reports; 0 for a camera."""
        return self._count

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(self._source)
        if not capture.isOpened():
            kind = 'camera' if isinstance(self._source, int) else 'video'
            raise ValueError(f'{kind} {self._source}: OpenCV cannot open it')
        return capture

    def frames(self) -> Iterator[Frame]:
        """Yield frames until the video ends; a camera does not end."""
        capture = self._open()
        try:
            index = 0
            while True:
                is_read, pixels = capture.read()
                if not is_read:
                    return
                yield Frame(
                    f'{self.name}/{index:06}', f'{self.file_name}#{index}', None, pixels, self
                )
                index += 1
        finally:
            capture.release()


def find_inputs(words: Sequence[str], out: Path) -> list[Image | Video]:
    """Find what the words of a command line name.

    Args:
        words: Image files, video files, folders (searched recursively for images), glob patterns
            (``'shots/**/*.png'``), or indices of cameras (``'0'``).
        out: Output folder, which is not searched: earlier predictions are not inputs.

    Returns:
        Images and videos, in the order of the words; files of a folder or pattern by name. Names
        are unique.

    Raises:
        ValueError: If a word names nothing, or a video cannot be opened.
    """
    names: set[str] = set()
    inputs: list[Image | Video] = []
    for word in words:
        if word.isdecimal() and not Path(word).exists():
            inputs.append(Video(_unique(f'camera{word}', names), int(word)))
            continue
        for path, file_name in _files(word, out.resolve()):
            name = _unique(str(Path(file_name).with_suffix('')), names)
            is_video = path.suffix.lower() in VIDEO_SUFFIXES
            inputs.append(Video(name, path) if is_video else Image(name, file_name, path))
    return inputs


def _files(word: str, out: Path) -> list[tuple[Path, str]]:
    """Files that a word names, and their names in results."""
    path = Path(word)
    if path.is_dir():
        files = [file for file in images_below(path) if not file.resolve().is_relative_to(out)]
        if not files:
            allowed = ', '.join(sorted(IMAGE_SUFFIXES))
            raise ValueError(f'input {word}: the folder contains no image ({allowed})')
        return [(file, file.relative_to(path).as_posix()) for file in files]
    if path.exists():
        return [(path, path.name)]
    if glob.has_magic(word):
        found = sorted(Path(file) for file in glob.glob(word, recursive=True))
        found = [file for file in found if not file.is_dir()]
        if not found:
            raise ValueError(f'input {word}: no file matches the pattern')
        return [(file, file.name) for file in found]
    raise ValueError(f'input {word}: no such file or folder')


def _unique(name: str, taken: set[str]) -> str:
    """Return the name, numbered if an earlier input has it, too: ``'photo_2'``."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f'{name}_{number}'
    taken.add(free)
    return free
