"""Predicted segmentations as PNG label maps."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmgab.atomic_file import replacing

from .predictor import Prediction

_BYTE_LABELS = 256  # 255 among them, which marks pixels without a label


class LabelMaps:
    """Write ``labels/NAME.png`` for each image: a pixel's value is the index of its class.

    Label maps of up to 255 classes are indexed PNGs with the palette, others 16-bit PNGs. Pixels of
    classes that were not asked for have the largest value, 255 or 65535.

    Args:
        folder: Where the folder ``labels`` goes.
        palette: A colour of each class, RGB.
    """

    def __init__(self, folder: Path, palette: Sequence[Sequence[int]]) -> None:
        self.path = folder / 'labels'
        self._palette = palette

    def add(self, prediction: Prediction) -> None:
        """Write the label map of an image."""
        labels = prediction.sample.pred_sem_seg.data[0].numpy()
        if len(self._palette) < _BYTE_LABELS:
            image = Image.fromarray(labels.astype(np.uint8))
            image.putpalette(np.asarray(self._palette, np.uint8).tobytes())
        else:
            image = Image.fromarray(labels.astype(np.uint16))
        with replacing(self.path / f'{prediction.frame.name}.png') as temporary:
            image.save(temporary)

    def __enter__(self) -> 'LabelMaps':
        return self

    def __exit__(self, *error: object) -> None:
        """Every file is complete already."""
