"""Networks for receptive field measurements: from a config and a checkpoint, or from timm."""

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
_FORWARD = 'forward_features'  # method of every timm model


@dataclass(frozen=True)
class Target:
    """Network, weights and layer to measure.

    Attributes:
        source: A config file, or ``timm:NAME``.
        checkpoint: Checkpoint file; None for initial weights.
        layer: Module name; by default the backbone, or ``forward_features`` of a timm model.
        out_index: Index of the output if there are several; by default the last of a backbone.
        size: Height and width of the images in pixels; by default 512 x 512, or timm's input size.
        options: Overrides of the config.
        device: Device of the network.
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
    """A network and the function from images to the feature map of one layer.

    Attributes:
        network: The complete model, such as a detector with its backbone.
        features: Maps normalized images ``(B, channels, H, W)`` to features ``(B, C, h, w)``.
        prepare: Maps a loaded image ``(H, W)`` or ``(H, W, channels)`` to a network input
            ``(channels, *size)``.
        size: Height and width of the input images, in pixels.
        about: Metadata for the results file.
        window: Height and width of the attention windows in tokens; None without windows.
        config: Config of the model; None for timm models.
    """

    network: nn.Module
    features: Callable[[Tensor], Tensor]
    prepare: Callable[[np.ndarray], Tensor]
    size: tuple[int, int]
    about: dict
    window: tuple[int, int] | None = None
    config: Config | None = None


def build_subject(target: Target) -> Subject:
    """Build a network, load its weights and select the layer.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If the model or layer does not exist, or the checkpoint does not fit.
    """
    is_timm = target.source.startswith(TIMM)
    subject = _of_timm(target) if is_timm else _of_config(target)
    subject.network.to(target.device)
    checkpoint = target.checkpoint
    subject.about.update(
        source=target.source if is_timm else Path(target.source).name,
        checkpoint=checkpoint and Path(checkpoint).name,
        # Not defined for a URL or a folder.
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
    print(loaded or f'{target.source}: no checkpoint given; the weights are the initial weights')
    layer, out_index = target.layer or 'backbone', target.out_index
    if layer == 'backbone' and out_index is None:
        out_index = -1
    inside = layer.partition('.')[0] == 'backbone'

    def run(images: Tensor) -> object:
        if inside:
            return model.backbone(images)
        # The heads of a detector need more than images; backbone and neck do not.
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
    """Resize an image to cover a size, crop its center, and preprocess it.

    Args:
        image: ``(H, W)`` or ``(H, W, channels)``, of any dtype.
        size: Height and width of the result, in pixels.
        preprocess: Data preprocessor of a model, which normalizes and reorders channels.

    Returns:
        ``(channels, *size)``.
    """
    image = image.reshape(*image.shape[:2], -1)
    if image.dtype != np.uint8:  # OpenCV does not resize every dtype
        image = image.astype(np.float32)
    scale = max(want / have for want, have in zip(size, image.shape, strict=False))
    height, width = (max(round(side * scale), 1) for side in image.shape[:2])
    channels = list(np.moveaxis(image, 2, 0))
    if (height, width) != image.shape[:2]:
        # One channel at a time: INTER_AREA supports at most four channels.
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        channels = [cv2.resize(one, (width, height), interpolation=method) for one in channels]
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    cut = np.stack(channels)[:, top : top + size[0], left : left + size[1]]
    batch = dict(inputs=[torch.from_numpy(cut)], data_samples=[BaseDataElement()])
    # The data preprocessor pads at the bottom and on the right.
    return preprocess(batch, False)['inputs'][0][:, : size[0], : size[1]].float().cpu()


def _window(model: nn.Module) -> tuple[int, int] | None:
    """Return the attention window size of a Swin in tokens; None if there is not exactly one."""
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
        raise ValueError(
            f'--cfg-options can only be used with a config file, got source {target.source}'
        )
    name, size, checkpoint = target.source.removeprefix(TIMM), target.size, target.checkpoint
    if not timm.is_model(name):
        raise ValueError(
            f'timm {timm.__version__} has no model {name!r}; timm.list_models() lists the models'
        )
    create = partial(timm.create_model, name, checkpoint_path=checkpoint or '')
    # Convolutional networks of timm have no img_size, and raise a TypeError.
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
        dict(network=name, layer=target.layer or _FORWARD, timm=timm.__version__),
        _window(model),
    )


def _timm_features(model: nn.Module, target: Target) -> Callable[[Tensor], Tensor]:
    if target.layer is not None:
        return layer_features(model, target.layer, out_index=target.out_index)
    forward: Callable[[Tensor], Tensor] = getattr(model, _FORWARD)
    source = f"{target.source.removeprefix(TIMM)}'s {_FORWARD}"

    def features(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        return as_map(forward(images), (height, width), source)

    return features
