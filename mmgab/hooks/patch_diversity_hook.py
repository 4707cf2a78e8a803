"""A hook that adds patch diversity losses to any detector or segmentor."""

from collections.abc import Mapping

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
        self._is_real: Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Look on at the blocks of the stage, and at what the model returns.

        Raises:
            ValueError: If the backbone has no such stage.
        """
        model = unwrapped(runner.model)
        backbone = getattr(model, 'backbone', None)
        # A plain ViT is one stage.
        stages = [backbone] if hasattr(backbone, 'blocks') else getattr(backbone, 'stages', ())
        if not stages or not -len(stages) <= (self.stage or 0) < len(stages):
            raise ValueError(
                f'PatchDiversityHook: stage is {self.stage}, and the backbone has {len(stages)}; '
                'is it a mmgab.SwinGAB or ViTGAB?'
            )
        depths = [len(stage.blocks) for stage in stages]
        deepest = max(range(len(stages)), key=lambda index: (depths[index], index))
        blocks = stages[deepest if self.stage is None else self.stage].blocks
        self._handles = [
            blocks[0].register_forward_pre_hook(self._keep_first),
            blocks[-1].register_forward_hook(self._keep_last),
            model.register_forward_hook(self._add),
        ]

    def after_train(self, runner: Runner) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _keep_first(self, block: nn.Module, inputs: tuple) -> None:
        self._tokens['first'] = inputs[0]
        self._is_real = inputs[2] if len(inputs) > 2 else None

    def _keep_last(self, block: nn.Module, inputs: tuple, output: Tensor) -> None:
        self._tokens['last'] = output

    def _add(self, model: nn.Module, inputs: tuple, output: object) -> object:
        first, last = (self._tokens.pop(name, None) for name in ('first', 'last'))
        # Losses are a dict of tensors; predictions, in a validation between, are not.
        if not model.training or not isinstance(output, dict) or first is None:
            return None
        return {**output, **self.loss(first, last, self._is_real)}
