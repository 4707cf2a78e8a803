"""Read the position bias (learned table and Gaussian) of every layer from a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmgab.analysis.erf import GaussianSurface, fit_surface
from mmgab.analysis.plots import plot_tables
from mmgab.checkpoints import Contents
from mmgab.functional import gaussian_table, relative_offsets
from mmgab.layers.methods import GAUSSIAN

from .vit_layers import is_vit, vit_layers


@dataclass(frozen=True)
class Layer:
    """The position bias of one layer.

    Attributes:
        name: Stage and block.
        table: The learned table ``(heads, 2 * Wh - 1, 2 * Ww - 1)``, in logits.
        gaussian: The table of the Gaussian, of the same shape; zeros without a Gaussian.
        amplitude: Effective amplitude ``a^2`` of each head, or one value shared by all heads;
            empty without a Gaussian.
        sigma: Sigma in tokens, with the same length as ``amplitude``.
    """

    name: str
    table: np.ndarray
    gaussian: np.ndarray
    amplitude: list[float]
    sigma: list[float]

    def fits(self) -> dict[str, GaussianSurface | None]:
        """Fit Gaussians to the mean over heads and to each head; None for a constant table."""
        bias = self.table + self.gaussian
        maps = {'mean': bias.mean(axis=0)} | {f'head{i}': one for i, one in enumerate(bias)}
        return {name: fit_central(values) for name, values in maps.items()}


def fit_central(table: np.ndarray) -> GaussianSurface | None:
    """Fit a Gaussian to the bias of the window's central token, minus its minimum."""
    window = tuple(side // 2 + 1 for side in table.shape)
    top, left = ((full - side) // 2 for full, side in zip(table.shape, window, strict=True))
    seen = table[top : top + window[0], left : left + window[1]]
    seen = seen - seen.min()
    return fit_surface(seen, is_turned=False) if seen.any() else None


def layers_of(contents: Contents) -> list[Layer]:
    """Return all layers of a Swin, from the input to the output."""
    layers = []
    for name in contents.tables():
        gaussian = GAUSSIAN.sibling_tensors(name, contents.swin)
        place = name.removesuffix('.attn.w_msa.relative_position_bias_table')
        table = contents.swin[name].float()
        layers.append(make_layer(place, table, contents.window(name), gaussian))
    return layers


def make_layer(
    name: str, table: Tensor, window: tuple[int, int], gaussian: Mapping[str, Tensor]
) -> Layer:
    """Create a layer from its table ``(T, heads)`` and the parameters of its Gaussian.

    Args:
        name: Stage and block.
        table: The learned bias of every relative offset.
        window: Height and width, in tokens.
        gaussian: ``amplitude`` and ``sigma``; empty without a Gaussian.
    """
    own, amplitude, sigma = torch.zeros_like(table), [], []
    if gaussian:
        parameters = gaussian['amplitude'], gaussian['sigma']
        own = own + gaussian_table(relative_offsets(window), *parameters)
        amplitude, sigma = parameters[0].square().tolist(), parameters[1].abs().tolist()
    sides = (2 * window[0] - 1, 2 * window[1] - 1)
    return Layer(name, _as_maps(table, sides), _as_maps(own, sides), amplitude, sigma)


def read_network(checkpoint: Mapping, source: str) -> list[Layer]:
    """Return all layers of a Swin or ViT checkpoint.

    Raises:
        ValueError: If the file has neither.
    """
    if is_vit(checkpoint, source):
        return [make_layer(*layer) for layer in vit_layers(checkpoint, source)]
    return layers_of(Contents.of(checkpoint, source))


def _as_maps(values: Tensor, sides: tuple[int, int]) -> np.ndarray:
    """Convert a table ``(T, heads)`` to maps ``(heads, *sides)`` over the key-query offset."""
    return values.t().unflatten(1, sides).flip(1, 2).double().numpy()


def draw_tables(layers: list[Layer], path: Path) -> None:
    """Plot learned table, Gaussian and sum of every layer."""
    rows = [
        (
            layer.name,
            [
                layer.table.mean(axis=0),
                layer.gaussian.mean(axis=0),
                (layer.table + layer.gaussian).mean(axis=0),
            ],
        )
        for layer in layers
    ]
    plot_tables(rows, ('learned table', 'Gaussian', 'their sum'), path)
