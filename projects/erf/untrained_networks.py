"""Networks before training, by what they know about position: ViT-S and Swin-T."""

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
    """What is added to attention's scores.

    Attributes:
        name: For tables and pictures.
        table_std: Standard deviation of the relative-position table, which is not trained; 0 for no
            table.
        height: Of a Gaussian on top of it, in logits; 0 for none.
        sigma: Its width, in tokens.
    """

    name: str
    table_std: float
    height: float = 0.0
    sigma: float = 1.0


NO_POSITION = Bias('no position', 0)
TABLE = Bias('untrained table', 0.02)
GAUSSIANS = [Bias(f'Gaussian, A 1, sigma {sigma}', 0.02, 1.0, sigma) for sigma in (1.0, 2.0, 5.0)]
# The first is what the paper's code calls an untrained table: timm's default draw. The second asks
# whether a Gaussian of A = 1 is too low to be seen.
MORE = [Bias('table, std 1', 1.0), Bias('Gaussian, A 10, sigma 2', 0.02, 10.0, 2.0)]
BIASES = [NO_POSITION, TABLE, *GAUSSIANS, *MORE]
# In place of a trained network's tables: as they were before training, and as the paper's code
# draws them.
REDRAWN = [TABLE, MORE[0]]


def vit(bias: Bias, seed: int) -> Callable[[Tensor], Tensor]:
    """ViT-S of timm with a relative-position table in each layer, and nothing else on position.

    Args:
        bias: What is in the tables.
        seed: Of all weights.

    Returns:
        Normalised images ``(B, 3, 224, 224)`` to the map before the head, which has no norm,
        ``(B, 384, 14, 14)``.
    """
    torch.manual_seed(seed)
    model = timm.create_model('vit_relpos_small_patch16_224', rel_pos_type='bias')
    model = model.eval().requires_grad_(False)
    set_bias_(model, bias)
    return lambda images: as_map(model.forward_features(images), (SIDE, SIDE))


def swin(bias: Bias, seed: int) -> Callable[[Tensor], Tensor]:
    """Swin-T.

    Args:
        bias: What is in the tables.
        seed: Of all weights.

    Returns:
        Normalised images ``(B, 3, 224, 224)`` to the last map before its norm, which would make a
        constant of the mean over channels, ``(B, 768, 7, 7)``.
    """
    torch.manual_seed(seed)
    model = SwinGAB(gab_cfg=None)
    model.init_weights()
    model.eval().requires_grad_(False)
    set_bias_(model, bias)
    return layer_features(model, 'stages.3')


def set_bias_(model: nn.Module, bias: Bias) -> None:
    """Draw all tables again, and add the Gaussian to them: the same function as beside them."""
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
