"""A segmentor whose logits are computed by an exported ONNX graph."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor, nn


class ExportedHead(nn.Module):
    """Stand-in for backbone, neck and head: images to logits, in ONNX Runtime.

    Args:
        path: Graph that ``mmgab export`` wrote: images ``(B, C, height, width)`` to logits.
        classes: Number of channels of the logits.

    Raises:
        ValueError: If the graph cannot be read, or has other outputs.
        ModuleNotFoundError: If ONNX Runtime is not installed.
    """

    def __init__(self, path: str, classes: int) -> None:
        super().__init__()
        import onnxruntime

        self._path = path
        available = onnxruntime.get_available_providers()
        providers = [one for one in available if one.startswith(('CUDA', 'CPU'))]
        try:
            self._session = onnxruntime.InferenceSession(path, providers=providers)
        except Exception as error:  # ONNX Runtime's classes have no common base of their own
            raise ValueError(f'{path}: ONNX Runtime cannot read the graph: {error}') from error
        outputs = self._session.get_outputs()
        if len(outputs) != 1 or outputs[0].shape[1] != classes:
            shapes = ', '.join(str(output.shape) for output in outputs)
            raise ValueError(
                f'{path}: predict needs the graph of a complete segmentor, with one output of '
                f'{classes} channels; this graph has {len(outputs)} ({shapes}). Export it with '
                '--part segmentor'
            )
        self._input = self._session.get_inputs()[0]

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, C, height, width)`` to logits ``(B, classes, h, w)``.

        Raises:
            ValueError: If the graph was exported for images of another size.
        """
        wanted = self._input.shape
        for name, size, found in zip(
            ('height', 'width'), wanted[2:], images.shape[2:], strict=True
        ):
            if isinstance(size, int) and size != found:
                raise ValueError(
                    f'{self._path}: the graph was exported for images of {wanted[2]} x {wanted[3]} '
                    f'pixels, the test pipeline gave {images.shape[2]} x {images.shape[3]} '
                    f'({name}); export with --open-size, or with --size of the pipeline'
                )
        (logits,) = self._session.run(None, {self._input.name: np.asarray(images.cpu())})
        return torch.from_numpy(logits).to(images.device)


def use_graph_(model: BaseModel, path: str) -> None:
    """Have a segmentor compute its logits by an exported graph, in place.

    Resizing to the image and the choice of classes stay those of the config.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the model is not a segmentor, or the graph does not fit.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'checkpoint {path} does not exist')
    if not hasattr(model, 'decode_head'):
        raise ValueError(
            f'{path}: predict takes .onnx files of segmentors; of a detector the graph holds the '
            'backbone only, so give its checkpoint (.pth) instead'
        )
    heads: Any = model.decode_head
    head: Any = heads[-1] if isinstance(heads, nn.ModuleList) else heads
    exported = ExportedHead(path, head.out_channels)
    model.extract_feat = nn.Identity()
    model.encode_decode = lambda images, metas: head.predict_by_feat(exported(images), metas)
