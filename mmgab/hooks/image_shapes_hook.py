"""A hook that tells a backbone which part of a batch is its images, and which is padding."""

import inspect
import threading
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.hooks import RemovableHandle

from mmgab.registry import HOOKS


@HOOKS.register_module()
class ImageShapesHook(Hook):
    """Call the backbone, one of :mod:`mmgab.models`, with the ``img_shape`` of every data sample.

    They are the argument ``image_shapes`` of its ``forward``.

    Images of a batch are padded to a common canvas. With this hook Context Broadcasting takes its
    means over real pixels only, so that an image's features do not depend on the size of the image
    next to it, and :class:`PatchDiversityHook` compares real pixels only; without, all tokens.
    """

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []

    def before_run(self, runner: Runner) -> None:
        """Look on whenever a detector or segmentor is called.

        Raises:
            ValueError: If there is no backbone that takes shapes.
        """
        models = [m for m in runner.model.modules() if _takes_shapes(getattr(m, 'backbone', None))]
        if not models:
            raise ValueError(
                'ImageShapesHook: no backbone takes image shapes; use mmgab.SwinGAB or ViTGAB'
            )
        for model in models:
            batch = _Batch()
            self._handles += [
                model.register_forward_pre_hook(batch.note_shapes, with_kwargs=True),
                model.register_forward_hook(batch.forget_shapes, always_call=True),
                model.backbone.register_forward_pre_hook(batch.give_shapes, with_kwargs=True),
            ]

    def after_run(self, runner: Runner) -> None:
        """Remove the hook's changes to the model."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _takes_shapes(backbone: nn.Module | None) -> bool:
    return backbone is not None and 'image_shapes' in inspect.signature(backbone.forward).parameters


class _Batch(threading.local):
    """The batch that a model is called with, for each thread that calls it."""

    shapes: Sequence[tuple[int, int]] | None = None

    def note_shapes(self, model: nn.Module, args: tuple, kwargs: dict) -> None:
        samples = kwargs.get('data_samples', args[1] if len(args) > 1 else None) or []
        shapes = [getattr(sample, 'img_shape', None) for sample in samples]
        known = [(shape[0], shape[1]) for shape in shapes if shape is not None]
        if known and len(known) == len(shapes):
            self.shapes = known

    def give_shapes(self, backbone: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        return args, {'image_shapes': self.shapes, **kwargs}

    def forget_shapes(self, model: nn.Module, args: tuple, output: object) -> None:
        self.shapes = None
