"""Simple feature pyramid from a single feature map (ViTDet, arXiv 2203.16527, section 3)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mmgab.layers.validation import check_positive
from mmgab.registry import MODELS

_SCALES = (4.0, 2.0, 1.0, 0.5)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map ``(B, C, H, W)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise."""
        # mmcv's RoIAlign silently misreads maps that are not contiguous.
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).contiguous()


@MODELS.register_module()
class SimpleFeaturePyramid(nn.Module):
    """Build a feature pyramid from the last feature map of a plain backbone.

    A neck for detectors and segmentors. The map is scaled by transposed convolutions or max
    pooling, then every level has a 1 x 1 and a 3 x 3 convolution, each with a layer norm.

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of every level.
        scales: Side of each level relative to the map's: 4, 2, 1 or 0.5. With patches of 16 pixels
            the default levels have strides of 4, 8, 16 and 32 pixels.
        num_outs: Number of levels; those beyond ``scales`` subsample the previous level by 2.

    Raises:
        ValueError: If a scale is not 4, 2, 1 or 0.5, or there are fewer levels than scales.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        scales: Sequence[float] = _SCALES,
        num_outs: int | None = None,
    ) -> None:
        super().__init__()
        check_positive('in_channels', in_channels)
        check_positive('out_channels', out_channels)
        is_list = isinstance(scales, Sequence) and not isinstance(scales, str)
        if not is_list or not scales or not set(scales) <= set(_SCALES):
            raise ValueError(f'scales must be a non-empty subset of {_SCALES}, got {scales!r}')
        if in_channels < max(scales):
            raise ValueError(f'in_channels must be at least {max(scales):.0f}, got {in_channels}')
        self.num_outs = len(scales) if num_outs is None else num_outs
        check_positive('num_outs', self.num_outs)
        if self.num_outs < len(scales):
            raise ValueError(
                f'num_outs must be at least the number of scales, {len(scales)}, got {num_outs}'
            )
        self.levels = nn.ModuleList(_level(scale, in_channels, out_channels) for scale in scales)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the pyramid levels.

        Args:
            maps: Feature maps of the backbone, each ``(B, C, H, W)``; the last one is used.

        Returns:
            ``num_outs`` maps ``(B, out_channels, ...)``.
        """
        outs = [level(maps[-1]) for level in self.levels]
        while len(outs) < self.num_outs:
            outs.append(F.max_pool2d(outs[-1], kernel_size=1, stride=2))
        return tuple(outs)


def _level(scale: float, channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    if scale == 4:
        layers += [_double(channels), ChannelNorm(channels // 2), nn.GELU()]
        layers += [_double(channels // 2)]
    elif scale == 2:
        layers += [_double(channels)]
    elif scale == 0.5:
        # Of the last column and row too, where a side is odd.
        layers += [nn.MaxPool2d(2, 2, ceil_mode=True)]
    width = channels // int(max(scale, 1))
    layers += [nn.Conv2d(width, out_channels, 1, bias=False), ChannelNorm(out_channels)]
    layers += [nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)]
    return nn.Sequential(*layers, ChannelNorm(out_channels))


def _double(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels // 2, 2, 2)
