"""The feed-forward network of a Swin block."""

from collections.abc import Mapping

from mmcv.cnn import build_activation_layer
from torch import Tensor, nn

from mmgab.functional import feed_forward

from .lean_layers import are_plain


class FeedForward(nn.Module):
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
        self.feedforward_channels = feedforward_channels
        self.keep_hidden = keep_hidden
        hidden = nn.Sequential(
            nn.Linear(embed_dims, feedforward_channels),
            build_activation_layer(act_cfg),
            nn.Dropout(drop_rate),
        )
        contract = nn.Linear(feedforward_channels, embed_dims)
        self.layers = nn.Sequential(hidden, contract, nn.Dropout(drop_rate))

    def forward(self, x: Tensor, norm: nn.Module) -> Tensor:
        """Transform normed tokens.

        Args:
            x: ``(..., C)``.
            norm: Applied to them first.

        Returns:
            ``(..., C)``.
        """
        hidden, contract, output_drop = self.layers
        expand, activation, drop = hidden
        is_plain = are_plain(
            norm,
            *((self.layers, nn.Sequential), (hidden, nn.Sequential)),
            *((expand, nn.Linear), (activation, nn.GELU), (contract, nn.Linear)),
            *((drop, nn.Dropout), (output_drop, nn.Dropout)),
        )
        if not is_plain or activation.approximate != 'none' or _drops(drop) or _drops(output_drop):
            return self.layers(norm(x))
        return feed_forward(
            x,
            norm.weight,
            norm.bias,
            norm.eps,
            (expand.weight, contract.weight),
            (expand.bias, contract.bias),
            self.keep_hidden,
        )


def _drops(dropout: nn.Dropout) -> bool:
    return dropout.training and dropout.p > 0
