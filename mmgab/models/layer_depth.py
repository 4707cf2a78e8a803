"""Layer depth of parameters, for layer-wise learning rate decay as in MMPretrain.

Its ``LearningRateDecayOptimWrapperConstructor`` calls the backbone's ``get_layer_depth``. Depth 0
is the stem, each block has its own depth, and the last depth is everything after the blocks.
Parameters inside a block, such as a Gaussian, have the depth of the block.
"""

from collections.abc import Sequence

from mmgab.checkpoints.wrappers import path_without_wrappers


def swin_layer_depth(name: str, prefix: str, depths: Sequence[int]) -> tuple[int, int]:
    """Return the layer depth of a Swin parameter, equal to that of MMPretrain's Swin.

    Args:
        name: The parameter's name in the model.
        prefix: Prefix of the Swin's parameter names in the model.
        depths: Blocks of each stage.

    Returns:
        Its depth, and the number of depths (number of blocks + 2). A patch merging belongs to the
        block before it; the output norms and the position embedding have the last depth.
    """
    count = sum(depths) + 2
    parts = _inner_parts(name, prefix)
    if parts[0] == 'patch_embed':
        return 0, count
    if parts[0] != 'stages':
        return count - 1, count
    stage = int(parts[1])
    block = int(parts[3]) if parts[2] == 'blocks' else depths[stage] - 1
    return sum(depths[:stage]) + block + 1, count


def vit_layer_depth(name: str, prefix: str, depth: int) -> tuple[int, int]:
    """Return the layer depth of a plain ViT parameter, equal to that of MMPretrain's ViT.

    Args:
        name: The parameter's name in the model.
        prefix: Prefix of the ViT's parameter names in the model.
        depth: Number of blocks.

    Returns:
        Its depth, and the number of depths (number of blocks + 2). The position embedding belongs
        to the stem; the final norm has the last depth.
    """
    count = depth + 2
    parts = _inner_parts(name, prefix)
    if parts[0] in ('patch_embed', 'pos_embed'):
        return 0, count
    return (int(parts[1]) + 1 if parts[0] == 'blocks' else count - 1), count


def _inner_parts(name: str, prefix: str) -> list[str]:
    """Split a name inside the backbone; one empty part if the parameter is outside."""
    inside = name.removeprefix(prefix) if name.startswith(prefix) else ''
    return path_without_wrappers(inside).split('.')
