"""Read the position biases of a ViT checkpoint as tables over relative offsets."""

import re
from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mmgab.checkpoints.contents import unwrap
from mmgab.functional import relative_offsets, table_window

_POSITION = re.compile(r'((?:.*\.)?)(blocks\.\d+)\.attn\.((?:rel_pos|gaussian)\..*)')
_STAGE = re.compile(r'(stages|layers|features)\.\d+\.$')
_TABLE, _NETWORK = 'rel_pos.relative_position_bias_table', 'rel_pos.mlp.'
_CLASS_TOKEN_ROWS = 3  # last rows of timm's tables
_GRID = (14, 14)  # timm's ViTs with 224 x 224 pixels and 16 x 16 patches


def vit_layers(
    checkpoint: Mapping, source: str
) -> Iterator[tuple[str, Tensor, tuple[int, int], dict[str, Tensor]]]:
    """Yield every layer of a ViT that has relative positions or a Gaussian.

    A position MLP is evaluated to a table for the pretraining grid of the ViT.

    Args:
        checkpoint: Checkpoint of timm's ``vit_relpos_*``, of a ViTGAB, or of a model with one.
        source: File name or URL for error messages.

    Yields:
        The layer's name as in timm, its table ``(T, heads)`` without the Gaussian, the window
        size in tokens, and ``amplitude`` and ``sigma`` of its Gaussian, if it has one.

    Raises:
        ValueError: If there is no such layer, or a table does not match a square window.
    """
    tensors, notes = unwrap(checkpoint, source)
    layers: dict[tuple[str, str], dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if found := _POSITION.fullmatch(name):
            layers.setdefault((found[1], found[2]), {})[found[3]] = tensor.float()
    if not layers:
        raise ValueError(f'{source} has no layer with relative positions or a Gaussian')
    for (backbone, block), own in layers.items():
        gaussian = {
            n: own[f'gaussian.{n}'] for n in ('amplitude', 'sigma') if f'gaussian.{n}' in own
        }
        grid = tuple(notes.get(backbone, {}).get('pretrain_grid', _GRID))
        noted = notes.get(f'{backbone}{block}.attn.rel_pos.', {}).get('window_size')
        if _TABLE in own:
            table, window = _square(own[_TABLE], noted, f'{source}: {block}')
        elif f'{_NETWORK}fc1.weight' in own:
            table, window = _of_network(own, grid), grid
        else:
            heads = len(gaussian['sigma']) if gaussian else 1
            table, window = torch.zeros((2 * grid[0] - 1) * (2 * grid[1] - 1), heads), grid
        yield block, table, window, gaussian


def is_vit(checkpoint: Mapping, source: str) -> bool:
    """Return True if a checkpoint has a ViT layer with a position bias outside Swin stages."""
    names = unwrap(checkpoint, source)[0]
    return any((m := _POSITION.fullmatch(n)) and not _STAGE.search(m[1]) for n in names)


def _square(
    table: Tensor, noted: tuple[int, int] | None, layer: str
) -> tuple[Tensor, tuple[int, int]]:
    """Return a table without the rows of the class token, and its window size."""
    for rows in (table, table[:-_CLASS_TOKEN_ROWS]):
        if window := table_window(rows, None, noted):
            return rows, window
    raise ValueError(
        f'{layer}: cannot infer the window size: {len(table)} rows of the table do not match a '
        'square window'
    )


def _of_network(own: Mapping[str, Tensor], window: tuple[int, int]) -> Tensor:
    """Evaluate a position MLP to a table, as in ``mmgab.layers.grid_attention.RelPosMlp``."""
    offsets = relative_offsets(window)
    hidden = offsets.sign() * offsets.abs().log1p()
    weights = {n.removeprefix(_NETWORK): t for n, t in own.items() if n.startswith(_NETWORK)}
    hidden = F.linear(hidden, weights['fc1.weight'], weights['fc1.bias']).relu()
    return F.linear(hidden, weights['fc2.weight'], weights.get('fc2.bias'))
