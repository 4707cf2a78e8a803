"""Instances and label maps as the toolboxes read them: COCO annotations, PNGs of classes."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmgab.atomic_file import write_text


class SplitWriter:
    """Writes the images of one split, their label maps and, at the end, its annotation file.

    Args:
        out: Folder of the data set.
        split: Name of the split, ``train`` or ``val``.
        categories: Names of the classes; their numbers are from 1, as in the label maps.
        description: Where the data comes from, for the annotation file.
    """

    def __init__(self, out: Path, split: str, categories: Sequence[str], description: str) -> None:
        self.out, self.split = out, split
        self._images: list[dict] = []
        self._annotations: list[dict] = []
        self._coco = dict(
            info=dict(description=description),
            images=self._images,
            annotations=self._annotations,
            categories=[dict(id=i, name=name) for i, name in enumerate(categories, start=1)],
        )
        for kind in ('images', 'labels'):
            (out / kind / split).mkdir(parents=True, exist_ok=True)
        (out / 'annotations').mkdir(exist_ok=True)

    def add(
        self,
        name: str,
        image: np.ndarray,
        label: np.ndarray,
        instances: Sequence[tuple[int, np.ndarray]],
    ) -> None:
        """Write one image.

        Args:
            name: File name, PNG.
            image: Grey ``(H, W)`` or BGR ``(H, W, 3)``, 8 bits.
            label: Class of every pixel ``(H, W)``, 8 bits; 0 is background.
            instances: Class number and binary mask ``(H, W)`` of each.
        """
        cv2.imwrite(str(self.out / 'images' / self.split / name), image)
        cv2.imwrite(str(self.out / 'labels' / self.split / name), label)
        image_id = len(self._images)
        self._images.append(
            dict(id=image_id, file_name=name, height=image.shape[0], width=image.shape[1])
        )
        for category, mask in instances:
            annotation = dict(
                id=len(self._annotations) + 1, image_id=image_id, category_id=category
            )
            self._annotations.append({**annotation, **_shape(mask)})

    def finish(self) -> None:
        """Write the annotation file, and say what the split holds."""
        path = self.out / 'annotations' / f'instances_{self.split}.json'
        write_text(path, json.dumps(self._coco))
        images, instances = len(self._images), len(self._annotations)
        print(f'{self.split}: {images} images, {instances} instances')


def _shape(mask: np.ndarray) -> dict:
    """Describe a mask as COCO does, run-length encoded, so that nothing is lost."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(
        bbox=coco_mask.toBbox(encoded).tolist(),
        area=int(mask.sum()),
        iscrowd=0,
        segmentation=dict(size=encoded['size'], counts=encoded['counts'].decode('ascii')),
    )
