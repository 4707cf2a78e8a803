"""Networks whose receptive fields are measured: of a config and a checkpoint, or of timm."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from PIL import Image
from torch import Tensor, nn

from mmgab.analysis.erf import as_map, layer_features
from mmgab.checkpoints.download import file_sha256
from mmgab.engine import build_model, load_config, load_weights

TIMM = 'timm:'


@dataclass(frozen=True)
class Subject:
    """A network, from images to a feature map.

    Attributes:
        features: Normalised images ``(B, 3, H, W)`` to ``(B, C, h, w)``.
        prepare: An image as it was read, 8-bit ``(H, W, 3)``, blue first, to what the network
            takes, ``(3, H, W)`` of the size below. Raises ValueError if that cannot be.
        size: Height and width of images that it is used to, in pixels.
        about: What it is, for the record.
        window: Height and width of an attention window in places of the map, where there are any.
        config: Of what was built from one.
    """

    features: Callable[[Tensor], Tensor]
    prepare: Callable[[np.ndarray], Tensor]
    size: tuple[int, int]
    about: dict
    window: tuple[int, int] | None = None
    config: Config | None = None


def build_subject(
    source: str,
    checkpoint: str | None,
    layer: str | None,
    out_index: int | None,
    size: tuple[int, int] | None,
    options: dict | None = None,
) -> Subject:
    """Build a network and point at one of its layers.

    Args:
        source: A config file, or ``timm:`` and a name.
        checkpoint: Its weights; None for weights as before training.
        layer: Name of the layer; by default the backbone, or what timm calls forward_features.
        out_index: Which of several outputs; of a backbone, the last by default.
        size: Height and width of the images, in pixels.
        options: Overrides of the config.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If there is no such model or layer, or a checkpoint does not fit.
    """
    build = _of_timm if source.startswith(TIMM) else _of_config
    subject = build(source, checkpoint, layer, out_index, size, options)
    subject.about.update(
        source=source if source.startswith(TIMM) else Path(source).name,
        checkpoint=checkpoint and Path(checkpoint).name,
        checkpoint_sha256=checkpoint and file_sha256(checkpoint),
        torch=torch.__version__,
    )
    return subject


def _of_config(
    source: str,
    checkpoint: str | None,
    layer: str | None,
    out_index: int | None,
    size: tuple[int, int] | None,
    options: dict | None,
) -> Subject:
    config = load_config(source, options)
    model = build_model(config)
    print(load_weights(model, checkpoint) or f'{source}: weights as before training')
    layer = layer or 'backbone'
    if layer == 'backbone' and out_index is None:
        out_index = -1
    inside = layer.partition('.')[0] == 'backbone'

    def run(images: Tensor) -> object:
        if inside:
            return model.backbone(images)
        # A detector's heads want more than images; its neck does not.
        is_detector = hasattr(model, 'with_bbox')
        return model.extract_feat(images) if is_detector else model(images, mode='tensor')

    size = size or (512, 512)
    return Subject(
        layer_features(model, layer, run, out_index),
        partial(_prepare, size=size, preprocessor=config.model.data_preprocessor),
        size,
        dict(
            network=type(model).__name__,
            layer=layer if out_index is None else f'{layer}[{out_index}]',
            config=config.pretty_text,
        ),
        _window(model),
        config,
    )


def _prepare(image: np.ndarray, size: tuple[int, int], preprocessor: Mapping) -> Tensor:
    """Scaled to cover the size, its middle cut out, normalised as the config says."""
    scale = max(want / have for want, have in zip(size, image.shape, strict=False))
    height, width = (max(round(side * scale), 1) for side in image.shape[:2])
    if (height, width) != image.shape[:2]:
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        image = cv2.resize(image, (width, height), interpolation=method)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    image = image[top : top + size[0], left : left + size[1]]
    if preprocessor.get('bgr_to_rgb', False):
        image = image[..., ::-1]
    mean, std = preprocessor.get('mean', (0, 0, 0)), preprocessor.get('std', (1, 1, 1))
    normalised = (image - np.array(mean)) / std
    return torch.from_numpy(normalised).float().permute(2, 0, 1)


def _window(model: nn.Module) -> tuple[int, int] | None:
    """Size of the attention windows of a Swin, in tokens."""
    sizes = {
        tuple(module.window_size)
        for module in model.modules()
        if hasattr(module, 'relative_position_bias_table') and len(module.window_size) == 2
    }
    return sizes.pop() if len(sizes) == 1 else None


def _of_timm(
    source: str,
    checkpoint: str | None,
    layer: str | None,
    out_index: int | None,
    size: tuple[int, int] | None,
    options: dict | None,
) -> Subject:
    import timm

    name = source.removeprefix(TIMM)
    if not timm.is_model(name):
        raise ValueError(f'timm {timm.__version__} has no model {name!r}')
    resized = {} if size is None else dict(img_size=size)
    # What timm does not take is an error of its own: a convolutional network has no img_size.
    try:
        model = timm.create_model(name, checkpoint_path=checkpoint or '', **resized)
    except TypeError:
        model = timm.create_model(name, checkpoint_path=checkpoint or '')
    model.eval().requires_grad_(False)
    data = timm.data.resolve_model_data_config(model)
    size = size or tuple(data['input_size'][1:])
    transform = timm.data.create_transform(**data | dict(input_size=(3, *size)))
    if layer is None:

        def features(images: Tensor) -> Tensor:
            out = model.forward_features(images)
            return as_map(out, tuple(images.shape[-2:]), f"{name}'s forward_features")
    else:
        features = layer_features(model, layer, out_index=out_index)
    return Subject(
        features,
        lambda image: transform(Image.fromarray(image[..., ::-1])),
        size,
        dict(network=name, layer=layer or 'forward_features', timm=timm.__version__),
        _window(model),
    )
