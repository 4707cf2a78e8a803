"""Freezing the first stages of a backbone, as OpenMMLab's backbones do."""

from collections.abc import Iterator

from torch import nn


class FrozenStages(nn.Module):
    """A backbone with ``patch_embed``, ``stages`` and output norms, whose first ones are frozen.

    Attributes:
        frozen_stages: 0 freezes the patch embedding, ``n`` also the first ``n`` stages with their
            output norms; -1 freezes nothing.
    """

    frozen_stages: int

    def freeze_(self) -> None:
        """Take gradients from what is frozen."""
        for module in self._frozen_modules():
            module.requires_grad_(False)
        if self.frozen_stages >= 0 and self.absolute_pos_embed is not None:
            self.absolute_pos_embed.requires_grad_(False)

    def train(self, mode: bool = True) -> 'FrozenStages':
        """Set training mode everywhere but in the frozen stages; returns the module itself."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def _frozen_modules(self) -> Iterator[nn.Module]:
        if self.frozen_stages >= 0:
            yield from (self.patch_embed, self.drop_after_pos)
        for i in range(self.frozen_stages):
            yield self.stages[i]
            if i in self.out_indices:
                yield getattr(self, f'norm{i}')
