"""A trained detector or segmentor that is applied to images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose, LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, TRANSFORMS
from mmengine.structures import BaseDataElement

from mmgab.checkpoints import load, read_checkpoint
from mmgab.config_types import is_type
from mmgab.datasets.image_steps import image_steps
from mmgab.datasets.load_image import LoadImage
from mmgab.engine import build_model, kind_of_model

from .exported_graph import use_graph_
from .inputs import Frame

_LOADERS = ('test_dataloader', 'val_dataloader')


class UnreadableImageError(ValueError):
    """An image that cannot be read."""


@dataclass(frozen=True)
class Prediction:
    """An image and the model's prediction.

    Attributes:
        frame: The input.
        image: As the config's loader reads it, ``(H, W, channels)``, BGR where it has colours.
        sample: MMDetection's or MMSegmentation's data sample, on the CPU, at the size of the image.
    """

    frame: Frame
    image: np.ndarray
    sample: BaseDataElement


class Predictor:
    """Apply a trained model to images, with the test pipeline of its config.

    Predictions equal those of ``tools/test.py`` for the same images and batches.

    Args:
        config: Of a detector or a segmentor.
        checkpoint: A checkpoint that has every tensor of the model, or, for a segmentor, a
            complete graph that ``mmgab export`` wrote (``.onnx``).
        device: Of PyTorch, such as ``'cuda:0'``.
        trust: See :func:`mmgab.checkpoints.read_checkpoint`.

    Attributes:
        kind: ``'detector'`` or ``'segmentor'``.
        model: In evaluation mode, on the device.
        classes: Names of the classes, by label.
        palette: A colour of each class, RGB: the checkpoint's, the config's, or random ones.

    Raises:
        ValueError: If the model is of another kind, the checkpoint does not fit, or no class names
            are found.
    """

    def __init__(
        self, config: Config, checkpoint: str, device: str = 'cpu', trust: bool = False
    ) -> None:
        self.kind = kind_of_model(config)
        if self.kind not in ('detector', 'segmentor'):
            raise ValueError(
                f'the config has a model of kind {self.kind!r}; predict supports detectors and '
                'segmentors'
            )
        self.model = build_model(config)
        meta: Mapping = {}
        if Path(checkpoint).suffix == '.onnx':
            use_graph_(self.model, checkpoint)
        else:
            contents = read_checkpoint(checkpoint, 'cpu', trust)
            load(self.model, checkpoint, checkpoint=contents, is_complete_model=True)
            meta = contents.get('meta') or {}
        self.model.to(device)
        self.classes, self.palette = _classes_of(config, meta)
        self._load, self._steps = _pipeline(config)

    def prepare(self, frame: Frame) -> tuple[np.ndarray, dict]:
        """Read an image and run the test pipeline.

        Returns:
            The image as it was read, and the model's input.

        Raises:
            UnreadableImageError: If the image cannot be read; the message names the file.
        """
        results: dict
        if frame.pixels is not None:
            results = dict(img=frame.pixels, img_path=frame.file_name)
            results['img_shape'] = results['ori_shape'] = frame.pixels.shape[:2]
            if self._load.to_float32:
                results['img'] = frame.pixels.astype(np.float32)
        else:
            try:
                results = self._load(dict(img_path=str(frame.path)))
            except Exception as error:  # decoders raise nearly anything
                raise UnreadableImageError(f'{frame.path}: {error}') from error
        image = results['img']
        return image, self._steps(dict(results, img_id=0))

    @torch.no_grad()
    def predict(self, batch: Sequence[tuple[Frame, np.ndarray, dict]]) -> list[Prediction]:
        """Predict a batch of prepared images."""
        samples = self.model.test_step(pseudo_collate([inputs for _, _, inputs in batch]))
        return [
            Prediction(frame, image, sample.cpu())
            for (frame, image, _), sample in zip(batch, samples, strict=True)
        ]


def _pipeline(config: Config) -> tuple[LoadImageFromFile, Compose]:
    """Return the loader of images, with bounds on what it decodes, and the steps after it."""
    load, *steps = image_steps(config, _LOADERS)
    scope = config.get('default_scope')
    if is_type(load, LoadImageFromFile, TRANSFORMS, scope) and not is_type(
        load, LoadImage, TRANSFORMS, scope
    ):
        load = dict(load, type=LoadImage)
    load = TRANSFORMS.build(dict(load))
    if not isinstance(load, LoadImageFromFile):
        raise ValueError(
            f'the test pipeline begins with {type(load).__name__}; predict needs a loader of image '
            'files there (a subclass of LoadImageFromFile)'
        )
    return load, Compose(steps)


def _classes_of(config: Config, meta: Mapping) -> tuple[list[str], list]:
    """Class names and palette: of the checkpoint, else of the config's data set."""
    saved = {key.lower(): value for key, value in (meta.get('dataset_meta') or meta).items()}
    classes, palette = saved.get('classes'), saved.get('palette')
    if not classes or not _is_complete(palette, classes):
        own = _dataset_meta(config)
        classes = classes or own.get('classes')
        palette = palette if _is_complete(palette, classes) else own.get('palette')
    if not classes:
        raise ValueError(
            'no class names found: neither the checkpoint (meta.dataset_meta) nor the data set in '
            "the config's test_dataloader has any; set metainfo=dict(classes=(...)) there"
        )
    if palette is None or not _is_complete(palette, classes):
        palette = np.random.default_rng(0).integers(0, 256, (len(classes), 3)).tolist()
    # Visualizers take a list for several colours.
    return list(classes), [tuple(map(int, colour)) for colour in palette]


def _is_complete(palette: object, classes: Sequence[str] | None) -> bool:
    """Return True for a palette with a colour for each class, not the name of one."""
    return isinstance(palette, (list, tuple)) and len(palette) >= len(classes or ())


def _dataset_meta(config: Config) -> Mapping:
    for name in _LOADERS:
        dataset = (config.get(name) or {}).get('dataset')
        if dataset:
            return dict(DATASETS.build(dict(dataset, lazy_init=True)).metainfo)
    return {}
