"""Depth of parameters, for layer-wise learning rate decay as in MMPretrain.

Its ``LearningRateDecayOptimWrapperConstructor`` asks the backbone: 0 is the stem, the last depth is
what follows the backbone, and each block between has one of its own. What is inside a block, a
Gaussian for one, has the depth of the block.
"""

from collections.abc import Sequence

from mmgab.checkpoints.wrappers import path_without_wrappers


def swin_layer_depth(name: str, prefix: str, depths: Sequence[int]) -> tuple[int, int]:
    """Depth of a parameter of a Swin, the same as of MMPretrain's own.

    Args:
        name: The parameter's name in the model.
        prefix: What stands before the Swin's names in it.
        depths: Blocks of each stage.

    Returns:
        Its depth, and how many depths there are: all blocks and two. A patch merging belongs to the
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
    """Depth of a parameter of a plain ViT, the same as of MMPretrain's own.

    Args:
        name: The parameter's name in the model.
        prefix: What stands before the ViT's names in it.
        depth: Number of blocks.

    Returns:
        Its depth, and how many depths there are: all blocks and two. The position embedding belongs
        to the stem; the final norm has the last depth.
    """
    count = depth + 2
    parts = _inner_parts(name, prefix)
    if parts[0] in ('patch_embed', 'pos_embed'):
        return 0, count
    return (int(parts[1]) + 1 if parts[0] == 'blocks' else count - 1), count


def _inner_parts(name: str, prefix: str) -> list[str]:
    """Parts of a name inside the backbone; one empty part if it is outside."""
    inside = name.removeprefix(prefix) if name.startswith(prefix) else ''
    return path_without_wrappers(inside).split('.')
