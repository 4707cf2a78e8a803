"""A hook that adds patch diversity losses to any detector or segmentor."""

import inspect
from collections.abc import Mapping, Sequence

from mmengine.hooks import Hook
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mmgab.registry import HOOKS
from mmgab.reliability.wrapped_model import unwrapped

PATCH_DIVERSITY = dict(type='mmgab.PatchDiversityLoss')


@HOOKS.register_module()
class PatchDiversityHook(Hook):
    """Add patch diversity losses to a model's own (arXiv 2104.12753).

    Between what enters one stage of the backbone, for a plain ViT the patches with their positions,
    and what its last block makes of it: tokens of different stages are of different patches.
    Padding of the batch is left out where the backbone knows image shapes
    (:class:`ImageShapesHook`). Context Broadcasting pulls tokens together, these losses push them
    apart.

    Args:
        stage: Which stage; negative counts from the last. None for the one with the most blocks,
            where tokens have the longest way to become alike, the last of several. A plain ViT has
            one stage.
        loss: Config of a loss of first and last tokens.
    """

    def __init__(self, stage: int | None = None, loss: Mapping = PATCH_DIVERSITY) -> None:
        self.stage = stage
        self.loss = MODELS.build(dict(loss))
        self._handles: list[RemovableHandle] = []
        self._tokens: dict[str, Tensor] = {}
        self._is_valid: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Look on at the blocks of the stage, and at what the model returns.

        Raises:
            ValueError: If the backbone has no such stage.
        """
        model = unwrapped(runner.model)
        backbone = getattr(model, 'backbone', None)
        # A plain ViT's blocks are one stage.
        blocks = getattr(backbone, 'blocks', None)
        stages = getattr(backbone, 'stages', ()) if blocks is None else [blocks]
        if not stages or not -len(stages) <= (self.stage or 0) < len(stages):
            raise ValueError(
                f'PatchDiversityHook: stage is {self.stage}, and the backbone has {len(stages)}; '
                'is it a mmgab.SwinGAB or ViTGAB?'
            )
        depths = [len(getattr(stage, 'blocks', stage)) for stage in stages]
        deepest = max(range(len(stages)), key=lambda index: (depths[index], index))
        stage = stages[deepest if self.stage is None else self.stage]
        self._handles = [
            stage.register_forward_hook(self._keep_tokens, with_kwargs=True),
            model.register_forward_hook(self._add),
        ]

    def after_train(self, runner: Runner) -> None:
        """Remove the hook's changes to the model."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _keep_tokens(self, stage: nn.Module, args: tuple, kwargs: dict, output: Sequence) -> None:
        given = inspect.signature(stage.forward).bind(*args, **kwargs).arguments
        self._is_valid = given.get('is_valid')
        # A Swin's stage returns its own tokens and their grid last, a plain ViT's the last block's.
        last = output[-1] if isinstance(output, list) else output[2]
        self._tokens = dict(first=given['x'], last=last)

    def _add(self, model: nn.Module, inputs: tuple, output: object) -> object:
        first, last = (self._tokens.pop(name, None) for name in ('first', 'last'))
        # Losses are a dict of tensors; predictions, in a validation between, are not.
        if not model.training or not isinstance(output, dict) or first is None:
            return None
        return {**output, **self.loss(first, last, self._is_valid)}
