"""Global average pooling and a layer norm, the neck of a plain ViT classifier."""

from collections.abc import Mapping, Sequence

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor

from mmgab.layers.validation import check_positive
from mmgab.registry import MODELS

from .init_cfg import StartsFromCheckpoint, checked_init_cfg

_LAYER_NORM = dict(type='LN', eps=1e-6)


@MODELS.register_module()
class PooledNorm(StartsFromCheckpoint, BaseModule):
    """Global average pooling of the last map, then a layer norm, as in timm's ``vit_relpos_*``.

    A neck for classifiers, used with ``final_norm=False`` in the backbone. The norm has timm's
    name, ``fc_norm``, and its weights are in timm's checkpoints.

    Args:
        in_channels: Channels of the map.
        norm_cfg: The norm layer.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` or ``None``, with any argument of
            :func:`mmgab.checkpoints.load`.

    Raises:
        ValueError: If ``in_channels`` is not positive, or ``init_cfg`` has no checkpoint.
    """

    def __init__(
        self,
        in_channels: int,
        norm_cfg: Mapping = _LAYER_NORM,
        init_cfg: Mapping | None = None,
    ) -> None:
        super().__init__(init_cfg=checked_init_cfg(None, init_cfg))
        check_positive('in_channels', in_channels)
        self.fc_norm = build_norm_layer(norm_cfg, in_channels)[1]

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor]:
        """Pool and norm.

        Args:
            maps: Feature maps of the backbone, each ``(B, C, H, W)``; the last one is used.

        Returns:
            One vector for each image, ``(B, C)``.
        """
        return (self.fc_norm(maps[-1].mean(dim=(2, 3))),)
