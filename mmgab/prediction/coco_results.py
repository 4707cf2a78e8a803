"""Predicted instances as a COCO annotation file with scores."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmgab.atomic_file import write_text

from .predictor import Prediction


class CocoResults:
    """Collect instances and write ``predictions.json``.

    The file has COCO's ``images``, ``categories`` and ``annotations``. Annotations also have a
    ``score``, so that ``pycocotools.COCO.loadRes`` takes the list. Boxes are ``[x, y, width,
    height]`` in pixels of the image, masks are compressed RLE. Category ids are label + 1.

    Args:
        folder: Where the file goes.
        classes: Names of the classes, by label.
    """

    def __init__(self, folder: Path, classes: Sequence[str]) -> None:
        self.path = folder / 'predictions.json'
        self._images: list[dict] = []
        self._annotations: list[dict] = []
        self._categories = [dict(id=i, name=name) for i, name in enumerate(classes, start=1)]

    def add(self, prediction: Prediction) -> None:
        """Add the instances of an image."""
        height, width = prediction.image.shape[:2]
        name = prediction.frame.file_name
        image_id = len(self._images) + 1
        self._images.append(dict(id=image_id, file_name=name, width=width, height=height))
        for annotation in _annotations(prediction.sample.pred_instances):
            number = len(self._annotations) + 1
            self._annotations.append(dict(id=number, image_id=image_id, **annotation))

    def __enter__(self) -> 'CocoResults':
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        """Write the file, unless an error ended the predictions."""
        if kind is not None:
            return
        contents = dict(
            images=self._images, categories=self._categories, annotations=self._annotations
        )
        write_text(self.path, json.dumps(contents) + '\n')


def _annotations(instances: InstanceData) -> list[dict]:
    left, top, right, bottom = instances.bboxes.double().unbind(-1)
    boxes = zip(
        left.tolist(), top.tolist(), (right - left).tolist(), (bottom - top).tolist(), strict=True
    )
    annotations = [
        dict(category_id=label + 1, bbox=list(box), score=score, area=box[2] * box[3], iscrowd=0)
        for label, box, score in zip(
            instances.labels.tolist(), boxes, instances.scores.double().tolist(), strict=True
        )
    ]
    for annotation, mask in zip(annotations, instances.get('masks', ()), strict=False):
        rle = coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
        annotation['area'] = float(coco_mask.area(rle))
        annotation['segmentation'] = dict(size=rle['size'], counts=rle['counts'].decode('ascii'))
    return annotations
