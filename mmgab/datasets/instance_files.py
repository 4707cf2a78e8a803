"""Write instances and label maps for the toolboxes: COCO annotations and PNG label maps."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmgab.atomic_file import write_text


class SplitWriter:
    """Writer of one split: images, label maps and, at the end, the annotation file.

    Args:
        out: Folder of the dataset.
        split: Name of the split, ``train`` or ``val``.
        categories: Names of the categories; category ids start at 1, as in the label maps.
        description: Source of the data, for the annotation file.
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
            instances: Category id and binary mask ``(H, W)`` of each.
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
        """Write the annotation file and print the number of images and instances."""
        path = self.out / 'annotations' / f'instances_{self.split}.json'
        write_text(path, json.dumps(self._coco))
        images, instances = len(self._images), len(self._annotations)
        print(f'{self.split}: {images} images, {instances} instances')


def _shape(mask: np.ndarray) -> dict:
    """Return the COCO annotation of a mask, lossless as run-length encoding."""
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(
        bbox=coco_mask.toBbox(encoded).tolist(),
        area=int(mask.sum()),
        iscrowd=0,
        segmentation=dict(size=encoded['size'], counts=encoded['counts'].decode('ascii')),
    )
