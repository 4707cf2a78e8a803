"""The feed-forward network of a Swin block."""

from collections.abc import Mapping

import torch
from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmgab.functional import feed_forward

from .lean_layers import ReadsNormed, has_lean_form, is_off, norm_inputs


class FeedForward(ReadsNormed):
    """Two linear layers with an activation between them.

    Parameter names are those of every OpenMMLab checkpoint.

    Args:
        embed_dims: Channels ``C``.
        feedforward_channels: Hidden channels.
        act_cfg: The activation.
        drop_rate: Dropout probability after the activation and after the output.
        keep_hidden: Keep the hidden channels for backward, or compute them again.
    """

    def __init__(
        self,
        embed_dims: int,
        feedforward_channels: int,
        act_cfg: Mapping,
        drop_rate: float,
        keep_hidden: bool = True,
    ) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.feedforward_channels = feedforward_channels
        self.keep_hidden = keep_hidden
        hidden = nn.Sequential(
            nn.Linear(embed_dims, feedforward_channels),
            build_activation_layer(act_cfg),
            nn.Dropout(drop_rate),
        )
        contract = nn.Linear(feedforward_channels, embed_dims)
        self.layers = nn.Sequential(hidden, contract, nn.Dropout(drop_rate))

    def forward(self, x: Tensor) -> Tensor:
        """Transform normed tokens ``(..., C)``."""
        norm = norm_inputs(x)
        is_norm_kept = norm is not None or not torch.is_grad_enabled()
        if not is_norm_kept or not self._has_lean_form():
            return self.layers(x)
        expand, contract = self.layers[0][0], self.layers[1]
        weights, biases = (expand.weight, contract.weight), (expand.bias, contract.bias)
        return feed_forward(x, norm, weights, biases, self.keep_hidden)

    def _has_lean_form(self) -> bool:
        """Whether the layers are what they were made as, and drop nothing."""
        if not has_lean_form(self.layers, nn.Sequential) or len(self.layers) != 3:
            return False
        hidden, contract, output_drop = self.layers
        if not has_lean_form(hidden, nn.Sequential) or len(hidden) != 3:
            return False
        expand, activation, drop = hidden
        is_gelu = has_lean_form(activation, nn.GELU) and activation.approximate == 'none'
        are_linear = has_lean_form(expand, nn.Linear) and has_lean_form(contract, nn.Linear)
        return is_gelu and are_linear and is_off(drop) and is_off(output_drop)
