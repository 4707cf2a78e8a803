"""Position biases of a plain ViT's layers, as tables over relative offsets, from its checkpoint."""

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
_CLASS_TOKEN_ROWS = 3  # of timm's tables, behind the others
_GRID = (14, 14)  # of timm's ViTs of 224 pixels and patches of 16


def vit_layers(
    checkpoint: Mapping, source: str
) -> Iterator[tuple[str, Tensor, tuple[int, int], dict[str, Tensor]]]:
    """Find every layer of a plain ViT that has relative positions or a Gaussian; timm's names.

    A network of positions becomes a table for the grid that the ViT was made for.

    Args:
        checkpoint: What was read from a file: timm's ``vit_relpos_*``, a ViTGAB, or a model around.
        source: Where it was read from, for messages.

    Yields:
        The layer's name, its table ``(T, heads)`` of the bias without the Gaussian, the window that
        it is for, in tokens, and ``amplitude`` and ``sigma`` of its Gaussian, if it has one.

    Raises:
        ValueError: If there is no such layer, or a table is for no window.
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
    """Whether a file holds such a layer, and no Swin, whose blocks are in stages."""
    names = unwrap(checkpoint, source)[0]
    return any((m := _POSITION.fullmatch(n)) and not _STAGE.search(m[1]) for n in names)


def _square(
    table: Tensor, noted: tuple[int, int] | None, place: str
) -> tuple[Tensor, tuple[int, int]]:
    """A table without rows of a class token, and its window."""
    for rows in (table, table[:-_CLASS_TOKEN_ROWS]):
        if window := table_window(rows, None, noted):
            return rows, window
    raise ValueError(f'{place} has a table of {len(table)} rows, which is for no square window')


def _of_network(own: Mapping[str, Tensor], window: tuple[int, int]) -> Tensor:
    """Table of a network, as :class:`mmgab.layers.grid_attention.RelPosMlp` makes it."""
    offsets = relative_offsets(window)
    hidden = offsets.sign() * offsets.abs().log1p()
    weights = {n.removeprefix(_NETWORK): t for n, t in own.items() if n.startswith(_NETWORK)}
    hidden = F.linear(hidden, weights['fc1.weight'], weights['fc1.bias']).relu()
    return F.linear(hidden, weights['fc2.weight'], weights.get('fc2.bias'))
