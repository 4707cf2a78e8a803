"""Untrained ViT-S and Swin-T with different position biases."""

from collections.abc import Callable
from dataclasses import dataclass

import timm
import torch
from torch import Tensor, nn

from mmgab.analysis.erf import as_map, layer_features
from mmgab.functional import gaussian_table, relative_offsets
from mmgab.models import SwinGAB

SIDE = 224  # pixels


@dataclass(frozen=True)
class Bias:
    """Position bias added to the attention scores.

    Attributes:
        name: Name in tables and figures.
        table_std: Standard deviation of the random relative-position table; 0 for no table.
        height: Height of a Gaussian added to the table, in logits; 0 for no Gaussian.
        sigma: Sigma of the Gaussian, in tokens.
    """

    name: str
    table_std: float
    height: float = 0.0
    sigma: float = 1.0


NO_POSITION = Bias('no position', 0)
TABLE = Bias('untrained table', 0.02)
GAUSSIANS = [Bias(f'Gaussian, A 1, sigma {sigma}', 0.02, 1.0, sigma) for sigma in (1.0, 2.0, 5.0)]
# The first is an untrained table in the paper's code, with timm's default initialization. The
# second tests whether a Gaussian with A = 1 is too small to have an effect.
MORE = [Bias('table, std 1', 1.0), Bias('Gaussian, A 10, sigma 2', 0.02, 10.0, 2.0)]
BIASES = [NO_POSITION, TABLE, *GAUSSIANS, *MORE]
# Replacements of trained tables: the initialization of the training, and that of the paper's code.
REDRAWN = [TABLE, MORE[0]]


def vit(bias: Bias, seed: int) -> Callable[[Tensor], Tensor]:
    """Build timm's ViT-S with a relative-position table in each layer as the only position bias.

    Args:
        bias: Content of the tables.
        seed: Random seed of all weights.

    Returns:
        Function from normalized images ``(B, 3, 224, 224)`` to the last feature map
        ``(B, 384, 14, 14)``, which has no norm.
    """
    torch.manual_seed(seed)
    model = timm.create_model('vit_relpos_small_patch16_224', rel_pos_type='bias')
    model = model.eval().requires_grad_(False)
    set_bias_(model, bias)
    return lambda images: as_map(model.forward_features(images), (SIDE, SIDE))


def swin(bias: Bias, seed: int) -> Callable[[Tensor], Tensor]:
    """Build a Swin-T.

    Args:
        bias: Content of the tables.
        seed: Random seed of all weights.

    Returns:
        Function from normalized images ``(B, 3, 224, 224)`` to the last feature map
        ``(B, 768, 7, 7)`` before its norm, after which the channel mean would be constant.
    """
    torch.manual_seed(seed)
    model = SwinGAB(gab_cfg=None)
    model.init_weights()
    model.eval().requires_grad_(False)
    set_bias_(model, bias)
    return layer_features(model, 'stages.3')


def set_bias_(model: nn.Module, bias: Bias) -> None:
    """Redraw all tables and add the Gaussian to them, which equals a separate Gaussian bias."""
    for module in model.modules():
        table = getattr(module, 'relative_position_bias_table', None)
        if table is None:
            continue
        with torch.no_grad():
            table.zero_()
            if bias.table_std:
                nn.init.trunc_normal_(table, std=bias.table_std)
            parameters = torch.tensor([bias.height**0.5]), torch.tensor([bias.sigma])
            table += gaussian_table(relative_offsets(tuple(module.window_size)), *parameters)


NETWORKS = {'ViT-S': vit, 'Swin-T': swin}
