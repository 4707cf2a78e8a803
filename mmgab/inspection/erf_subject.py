"""Networks whose receptive fields are measured: of a config and a checkpoint, or of timm."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeGuard

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement
from PIL import Image
from torch import Tensor, nn

from mmgab.analysis.erf import as_map, layer_features
from mmgab.downloads.download import file_sha256
from mmgab.engine import build_model, load_config, load_weights

TIMM = 'timm:'
_WHOLE = 'forward_features'  # of each of timm's networks


@dataclass(frozen=True)
class Target:
    """What is asked for.

    Attributes:
        source: A config file, or ``timm:`` and a name.
        checkpoint: Its weights; None for weights as before training.
        layer: Name of the layer; by default the backbone, or what timm calls forward_features.
        out_index: Which of several outputs; of a backbone, the last by default.
        size: Height and width of the images, in pixels; 512 x 512, or timm's.
        options: Overrides of the config.
        device: Where the network runs.
    """

    source: str
    checkpoint: str | None = None
    layer: str | None = None
    out_index: int | None = None
    size: tuple[int, int] | None = None
    options: dict | None = None
    device: str = 'cpu'


@dataclass(frozen=True)
class Subject:
    """A network, from images to a feature map.

    Attributes:
        network: What runs; of a detector or segmentor, the backbone is a part of it.
        features: Normalised images ``(B, channels, H, W)`` to ``(B, C, h, w)``.
        prepare: An image as it was read, ``(H, W)`` or ``(H, W, channels)``, to what the network
            takes, ``(channels, H, W)`` of the size below.
        size: Height and width of images that it is used to, in pixels.
        about: What it is, for the record.
        window: Height and width of an attention window in places of the map, where there are any.
        config: Of what was built from one.
    """

    network: nn.Module
    features: Callable[[Tensor], Tensor]
    prepare: Callable[[np.ndarray], Tensor]
    size: tuple[int, int]
    about: dict
    window: tuple[int, int] | None = None
    config: Config | None = None


def build_subject(target: Target) -> Subject:
    """Build a network and point at one of its layers.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If there is no such model or layer, or a checkpoint does not fit.
    """
    is_timm = target.source.startswith(TIMM)
    subject = _of_timm(target) if is_timm else _of_config(target)
    subject.network.to(target.device)
    checkpoint = target.checkpoint
    subject.about.update(
        source=target.source if is_timm else Path(target.source).name,
        checkpoint=checkpoint and Path(checkpoint).name,
        # A URL or a folder has none of its own.
        checkpoint_sha256=file_sha256(checkpoint) if _is_file(checkpoint) else None,
        torch=torch.__version__,
    )
    return subject


def _is_file(checkpoint: str | None) -> TypeGuard[str]:
    return checkpoint is not None and Path(checkpoint).is_file()


def _of_config(target: Target) -> Subject:
    config = load_config(target.source, target.options)
    model = build_model(config)
    loaded = load_weights(model, target.checkpoint)
    print(loaded or f'{target.source}: weights as before training')
    layer, out_index = target.layer or 'backbone', target.out_index
    if layer == 'backbone' and out_index is None:
        out_index = -1
    inside = layer.partition('.')[0] == 'backbone'

    def run(images: Tensor) -> object:
        if inside:
            return model.backbone(images)
        # A detector's heads want more than images; its neck does not.
        is_detector = hasattr(model, 'with_bbox')
        return model.extract_feat(images) if is_detector else model(images, mode='tensor')

    size = target.size or (512, 512)
    return Subject(
        model,
        layer_features(model, layer, run, out_index),
        partial(prepare_image, size=size, preprocess=model.data_preprocessor),
        size,
        dict(
            network=type(model).__name__,
            layer=layer if out_index is None else f'{layer}[{out_index}]',
            config=config.pretty_text,
        ),
        _window(model),
        config,
    )


def prepare_image(
    image: np.ndarray, size: tuple[int, int], preprocess: Callable[[dict, bool], dict]
) -> Tensor:
    """Scale an image to cover a size, cut its middle out, and preprocess it.

    Args:
        image: ``(H, W)`` or ``(H, W, channels)``, of any number type.
        size: Height and width of the result, in pixels.
        preprocess: A model's data preprocessor, which normalises and orders channels.

    Returns:
        ``(channels, *size)``.
    """
    image = image.reshape(*image.shape[:2], -1)
    if image.dtype != np.uint8:  # OpenCV does not resize every number type
        image = image.astype(np.float32)
    scale = max(want / have for want, have in zip(size, image.shape, strict=False))
    height, width = (max(round(side * scale), 1) for side in image.shape[:2])
    channels = list(np.moveaxis(image, 2, 0))
    if (height, width) != image.shape[:2]:
        # One at a time: OpenCV does not reduce images of more than four.
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        channels = [cv2.resize(one, (width, height), interpolation=method) for one in channels]
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    cut = np.stack(channels)[:, top : top + size[0], left : left + size[1]]
    batch = dict(inputs=[torch.from_numpy(cut)], data_samples=[BaseDataElement()])
    # Padding of a batch lies below and on the right.
    return preprocess(batch, False)['inputs'][0][:, : size[0], : size[1]].float().cpu()


def _window(model: nn.Module) -> tuple[int, int] | None:
    """Size of the attention windows of a Swin, in tokens."""
    windows = (
        getattr(module, 'window_size', None)
        for module in model.modules()
        if hasattr(module, 'relative_position_bias_table')
    )
    sizes = {(window[0], window[1]) for window in windows if window and len(window) == 2}
    return sizes.pop() if len(sizes) == 1 else None


def _of_timm(target: Target) -> Subject:
    import timm

    if target.options:
        raise ValueError(f'--cfg-options are for configs, and {target.source} has none')
    name, size, checkpoint = target.source.removeprefix(TIMM), target.size, target.checkpoint
    if not timm.is_model(name):
        raise ValueError(f'timm {timm.__version__} has no model {name!r}')
    create = partial(timm.create_model, name, checkpoint_path=checkpoint or '')
    # What timm does not take is an error of its own: a convolutional network has no img_size.
    try:
        model = create() if size is None else create(img_size=size)
    except TypeError:
        model = create()
    except RuntimeError as error:
        raise ValueError(f'{checkpoint} does not fit timm:{name}: {error}') from error
    model.eval().requires_grad_(False)
    data = timm.data.resolve_model_data_config(model)
    size = size or tuple(data['input_size'][1:])
    transform = timm.data.create_transform(**data | dict(input_size=(data['input_size'][0], *size)))
    return Subject(
        model,
        _timm_features(model, target),
        lambda image: transform(Image.fromarray(image[..., ::-1])),
        size,
        dict(network=name, layer=target.layer or _WHOLE, timm=timm.__version__),
        _window(model),
    )


def _timm_features(model: nn.Module, target: Target) -> Callable[[Tensor], Tensor]:
    if target.layer is not None:
        return layer_features(model, target.layer, out_index=target.out_index)
    forward: Callable[[Tensor], Tensor] = getattr(model, _WHOLE)
    source = f"{target.source.removeprefix(TIMM)}'s {_WHOLE}"

    def features(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return as_map(forward(images), (height, width), source)

    return features
