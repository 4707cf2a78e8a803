"""Base class of both backbones: initialisation, freezing, folding and position embedding."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import partial

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmgab.layers.adaptive import AdaptiveModule
from mmgab.layers.attention import BiasedMSA
from mmgab.layers.initial_values import DrawsInitialValues
from mmgab.layers.position_embedding import fit_tokens, resize_tokens
from mmgab.layers.validation import positive_pair
from mmgab.layers.window_attention import WindowMSA
from mmgab.registry import MODELS

from .init_cfg import StartsFromCheckpoint


class Backbone(AdaptiveModule, StartsFromCheckpoint, BaseModule):
    """Base of transformer backbones with :class:`~mmgab.layers.attention.BiasedMSA`.

    Attributes:
        position_name: Attribute name of the absolute position embedding, ``(1, H * W, C)`` or None.
        pretrain_grid: Height and width, in tokens, that it is learned for.
        frozen_stages: 0 freezes what comes before the blocks, ``n`` also the first ``n`` stages (of
            a plain ViT: blocks) and their output norms; -1 freezes nothing.
    """

    position_name: str
    pretrain_grid: tuple[int, int]
    frozen_stages: int

    def _make_position(
        self, is_used: bool, patch_size: tuple[int, int], embed_dims: int, **image: object
    ) -> None:
        """Make the absolute position embedding.

        Args:
            is_used: Whether there is one.
            patch_size: Height and width of a patch, in pixels.
            embed_dims: Its channels.
            image: The side of an image of pretraining, or height and width, in pixels, under the
                name that the backbone's argument has.
        """
        ((name, size),) = image.items()
        height, width = positive_pair(name, size)
        self.pretrain_grid = positive_pair(
            f'{name} // patch_size', (height // patch_size[0], width // patch_size[1])
        )
        position = None
        if is_used:
            tokens = self.pretrain_grid[0] * self.pretrain_grid[1]
            position = nn.Parameter(torch.empty(1, tokens, embed_dims))
        self.register_parameter(self.position_name, position)

    def _start(self) -> None:
        """Initialise every layer, then freeze the stages of ``frozen_stages``."""
        for module in self.modules():
            if isinstance(module, DrawsInitialValues):
                module.draw_()
        if self.position_embedding is not None:
            nn.init.trunc_normal_(self.position_embedding, std=0.02)
        self.freeze_()

    @property
    def position_embedding(self) -> nn.Parameter | None:
        """The absolute position embedding, or None."""
        return getattr(self, self.position_name)

    def _add_position(self, x: Tensor, hw_shape: tuple[int, int]) -> Tensor:
        """Add the absolute position embedding, resized to the grid, to tokens."""
        if self.position_embedding is None:
            return x
        return x + resize_tokens(self.position_embedding, self.pretrain_grid, hw_shape)

    @abstractmethod
    def _frozen_modules(self) -> Iterable[nn.Module]:
        """Modules that ``frozen_stages`` freezes."""

    def freeze_(self) -> None:
        """Turn off gradients of the frozen modules."""
        for module in self._frozen_modules():
            module.requires_grad_(False)
        if self.frozen_stages >= 0 and self.position_embedding is not None:
            self.position_embedding.requires_grad_(False)

    def train(self, mode: bool = True) -> 'Backbone':
        """Set training mode, except in frozen modules; returns the module itself."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def fold_(self) -> 'Backbone':
        """Fold every Gaussian into its table, which gives a stock network with the same function.

        For deployment; :func:`mmgab.checkpoints.fold` does the same for a checkpoint.

        Returns:
            The network itself.

        Raises:
            ValueError: If no layer has a Gaussian that can be folded into a table.
        """
        layers = [m for m in self.modules() if isinstance(m, WindowMSA) and m.has_terms]
        if not layers:
            raise ValueError(
                'nothing to fold: no window attention has a Gaussian (it was folded already, or '
                'built with gab_cfg=None); gates of gpsa_cfg cannot be folded'
            )
        for layer in layers:
            layer.fold_()
        return self

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Resize a position embedding of another image size.

        See :meth:`AdaptiveModule.adapt_state_dict`.
        """
        name = f'{prefix}{self.position_name}'
        if name not in state_dict or self.position_embedding is None:
            return []
        noted = local_metadata.get('pretrain_grid')
        state_dict[name], is_resized = fit_tokens(state_dict[name], self.pretrain_grid, noted)
        return [name] if is_resized else []

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Save the position embedding's grid in the metadata, as its length is ambiguous."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.position_embedding is not None and hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['pretrain_grid'] = self.pretrain_grid


def attention_maker(
    attention: Mapping | None, default: type[BiasedMSA]
) -> Callable[..., BiasedMSA]:
    """Return the factory of a block's attention.

    Args:
        attention: ``type``, a class, its registered name or ``'package.module.Class'``, which
            takes the arguments of ``default``, and its further arguments; None for ``default``.
        default: Attention class of this backbone.

    Raises:
        TypeError: If ``attention`` is not a mapping.
        ValueError: If ``type`` is missing or not found.
    """
    if attention is None:
        return default
    if not isinstance(attention, Mapping):
        raise TypeError(f'attention must be a dict or None, got {attention!r}')
    arguments = {key: value for key, value in attention.items() if key != 'type'}
    kind = attention.get('type')
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if not callable(found):
        raise ValueError(
            f'attention: type must be a class like {default.__name__}, its registered name or '
            f"'package.module.Class', got {kind!r}"
        )
    return partial(found, **arguments)
