"""Names of a Swin's tensors in other projects' checkpoints, as anchored patterns.

The layout of this package is OpenMMLab's. Patch merging differs in the values too: OpenMMLab
unfolds the four neighbours of a patch channel by channel, row by row; Microsoft concatenates them
whole, column by column::

    neighbours   0 1      OpenMMLab  (channel, neighbour), neighbours in the order 0 1 2 3
                 2 3      Microsoft  (neighbour, channel), neighbours in the order 0 2 1 3
"""

import re
from collections.abc import Mapping

from torch import Tensor

_BLOCK = r'layers\.(\d+)\.blocks\.(\d+)'
# Source pattern, target template; the first full match counts.
_MICROSOFT_NAMES = [
    (re.compile(rf'{_BLOCK}\.(norm[12]\.\w+)'), r'stages.\1.blocks.\2.\3'),
    (re.compile(rf'{_BLOCK}\.attn\.((?:qkv|proj)\.\w+)'), r'stages.\1.blocks.\2.attn.w_msa.\3'),
    (
        re.compile(rf'{_BLOCK}\.attn\.(relative_position_(?:bias_table|index))'),
        r'stages.\1.blocks.\2.attn.w_msa.\3',
    ),
    (re.compile(rf'{_BLOCK}\.mlp\.fc1\.(\w+)'), r'stages.\1.blocks.\2.ffn.layers.0.0.\3'),
    (re.compile(rf'{_BLOCK}\.mlp\.fc2\.(\w+)'), r'stages.\1.blocks.\2.ffn.layers.1.\3'),
    (
        re.compile(r'layers\.(\d+)\.downsample\.((?:norm|reduction)\.\w+)'),
        r'stages.\1.downsample.\2',
    ),
    (re.compile(r'patch_embed\.proj\.(\w+)'), r'patch_embed.projection.\1'),
]
_MERGING = re.compile(r'stages\.\d+\.downsample\.(norm|reduction)\.\w+')

_SIGNATURES = {
    'microsoft': re.compile(r'layers\.\d+\.blocks\.\d+\.attn\.qkv\.weight'),
    'openmmlab': re.compile(r'stages\.\d+\.blocks\.\d+\.attn\.w_msa\.qkv\.weight'),
}


def detect_layout(state_dict: Mapping[str, Tensor], source: str) -> str:
    """Tell whose names a backbone's tensors have: ``'microsoft'`` or ``'openmmlab'``.

    Raises:
        ValueError: If it is neither; the message names ``source`` and the first tensors found.
    """
    for layout, signature in _SIGNATURES.items():
        if any(signature.fullmatch(name) for name in state_dict):
            return layout
    first = ', '.join(list(state_dict)[:5])
    raise ValueError(
        f'{source} holds no Swin in a layout that can be read: neither '
        'layers.0.blocks.0.attn.qkv.weight (microsoft) nor '
        f'stages.0.blocks.0.attn.w_msa.qkv.weight (openmmlab); the first tensors are {first}'
    )


def to_openmmlab(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename Microsoft's tensors to OpenMMLab's names and reorder those of patch merging.

    Tensors that have no counterpart (a classifier's head and last norm, shift masks) keep their
    names, for the caller to excuse or refuse.
    """
    return dict(_from_microsoft(name, tensor) for name, tensor in state_dict.items())


def _from_microsoft(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    for pattern, template in _MICROSOFT_NAMES:
        if match := pattern.fullmatch(name):
            name = match.expand(template)
            break
    if _MERGING.fullmatch(name):
        tensor = _unfold_order(tensor)
    return name, tensor


def _unfold_order(tensor: Tensor) -> Tensor:
    """Reorder the last axis ``(4 C,)`` of a patch-merging tensor, see the module's docstring."""
    neighbours = tensor.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]  # (..., 4, C)
    return neighbours.transpose(-1, -2).flatten(-2)  # (..., C * 4)
