"""A hook that adds patch diversity losses to any detector or segmentor."""

import math

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mmgab.functional import contrastive_diversity, cosine_diversity
from mmgab.registry import HOOKS


@HOOKS.register_module()
class PatchDiversityHook(Hook):
    """Add ``loss_cosine`` and ``loss_contrastive`` to a model's losses (arXiv 2104.12753).

    Between the first and the last block of one stage of the backbone: tokens of different stages
    are of different patches. Padding of the batch is left out where the backbone knows image shapes
    (:class:`ImageShapesHook`). Context Broadcasting pulls tokens together, these losses push them
    apart.

    Args:
        stage: Which stage; negative counts from the last.
        cosine: Weight of :func:`mmgab.functional.cosine_diversity`; 0 leaves it out.
        contrastive: Weight of :func:`mmgab.functional.contrastive_diversity`; 0 leaves it out.

    Raises:
        ValueError: If a weight is negative or not finite, or both are zero.
    """

    def __init__(self, stage: int = -1, cosine: float = 0.5, contrastive: float = 0.5) -> None:
        for name, weight in (('cosine', cosine), ('contrastive', contrastive)):
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(f'PatchDiversityHook: {name} must be at least 0, got {weight!r}')
        if not cosine and not contrastive:
            raise ValueError(
                'PatchDiversityHook: cosine and contrastive are both 0: nothing to add'
            )
        self.stage, self.cosine, self.contrastive = stage, cosine, contrastive
        self._handles: list[RemovableHandle] = []
        self._tokens: dict[str, Tensor] = {}
        self._is_real: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Look on at the blocks of the stage, and at what the model returns.

        Raises:
            ValueError: If the backbone has no such stage, or only one block in it.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        stages = getattr(getattr(model, 'backbone', None), 'stages', ())
        if not -len(stages) <= self.stage < len(stages):
            raise ValueError(
                f'PatchDiversityHook: stage is {self.stage}, and the backbone has {len(stages)}; '
                'is it a mmgab.SwinGAB?'
            )
        blocks = stages[self.stage].blocks
        if len(blocks) < 2:
            raise ValueError(
                f'PatchDiversityHook: stage {self.stage} has one block, which is first and last'
            )
        self._handles = [
            blocks[0].register_forward_hook(self._keep_first),
            blocks[-1].register_forward_hook(self._keep_last),
            model.register_forward_hook(self._add),
        ]

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _keep_first(self, block: nn.Module, inputs: tuple, output: Tensor) -> None:
        self._tokens['first'] = output
        self._is_real = inputs[2] if len(inputs) > 2 else None

    def _keep_last(self, block: nn.Module, inputs: tuple, output: Tensor) -> None:
        self._tokens['last'] = output

    def _add(self, model: nn.Module, inputs: tuple, output: object) -> object:
        first, last = (self._tokens.pop(name, None) for name in ('first', 'last'))
        # Losses are a dict of tensors; predictions, in a validation between, are not.
        if not model.training or not isinstance(output, dict) or first is None:
            return None
        losses = dict(output)
        if self.cosine:
            losses['loss_cosine'] = self.cosine * cosine_diversity(last, self._is_real)
        if self.contrastive:
            contrast = contrastive_diversity(first, last, self._is_real)
            losses['loss_contrastive'] = self.contrastive * contrast
        return losses
