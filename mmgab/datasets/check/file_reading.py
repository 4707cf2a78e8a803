"""Reading of a data set's files, in processes and within bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from .image_checks import Decoder, Looked, look
from .label_map_file import LabelMap, look_at_labels
from .reading_processes import read_files


@dataclass(frozen=True)
class Reading:
    """How to read files.

    Attributes:
        workers: Processes; None for one on each core.
        max_bytes: Size of an image or label map at most.
        max_pixels: Width times height of one at most.
        max_annotation_bytes: Size of an annotation file at most.
        decoder: Of images in training; None where it is not MMCV's.
    """

    workers: int | None
    max_bytes: int
    max_pixels: int
    max_annotation_bytes: int
    decoder: Decoder | None = None

    def images(self, paths: Sequence[str], title: str) -> list[Looked]:
        """Read images, as :func:`image_checks.look` does."""
        read = partial(
            look, decoder=self.decoder, max_bytes=self.max_bytes, max_pixels=self.max_pixels
        )
        return read_files(read, Looked.unreadable, paths, title, self.workers)

    def label_maps(self, paths: Sequence[str], title: str, backend: str) -> list[LabelMap]:
        """Read label maps, as :func:`label_map_file.look_at_labels` does."""
        read = partial(
            look_at_labels, backend=backend, max_bytes=self.max_bytes, max_pixels=self.max_pixels
        )
        return read_files(read, LabelMap.unreadable, paths, title, self.workers)
