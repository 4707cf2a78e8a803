"""Read the files of a dataset in several processes and within size limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from .image_checks import Decoder, InspectedImage, inspect_image
from .label_map_file import LabelMap, inspect_label_map
from .reading_processes import read_files


@dataclass(frozen=True)
class Reading:
    """Settings for reading files.

    Attributes:
        workers: Number of processes; None for one per core.
        max_bytes: Maximum size of an image or label map.
        max_pixels: Maximum width times height of an image or label map.
        max_annotation_bytes: Maximum size of an annotation file.
        decoder: Decoder of images in training; None if it is not MMCV's.
    """

    workers: int | None
    max_bytes: int
    max_pixels: int
    max_annotation_bytes: int
    decoder: Decoder | None = None

    def images(self, paths: Sequence[str], title: str) -> list[InspectedImage]:
        """Read images with :func:`image_checks.inspect_image`."""
        read = partial(
            inspect_image,
            decoder=self.decoder,
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
        )
        return read_files(read, InspectedImage.unreadable, paths, title, self.workers)

    def label_maps(self, paths: Sequence[str], title: str, backend: str) -> list[LabelMap]:
        """Read label maps with :func:`label_map_file.inspect_label_map`."""
        read = partial(
            inspect_label_map, backend=backend, max_bytes=self.max_bytes, max_pixels=self.max_pixels
        )
        return read_files(read, LabelMap.unreadable, paths, title, self.workers)
