"""Convert a model in memory to the state dict of stock OpenMMLab projects."""

from torch import Tensor, nn

from mmgab.layers.methods import methods_to_fold

from .contents import Contents
from .folding import fold
from .target_layouts import export


def as_stock_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of the equivalent stock model.

    Stock Swins save the index of their relative-position tables, which SwinGAB derives: the state
    dict of a folded SwinGAB lacks it, and their strict loading raises an error.

    Args:
        model: A :class:`mmgab.models.SwinGAB` or a detector, segmentor or classifier around one,
            with its Gaussians, or folded; it is not modified.

    Returns:
        Its tensors, Gaussians folded into the tables, with the index of every table:
        ``load_state_dict(..., strict=True)`` of mmdet, mmseg and mmpretrain takes it. Names begin
        at the model in which the backbone is.

    Raises:
        ValueError: If there is no Swin in it or several, or if it has features they lack:
            gates, Context Broadcasting, windows that are not square.
    """
    contents = Contents.of(model.state_dict(), type(model).__name__)
    if methods_to_fold(contents.swin):
        contents = fold(contents)
    checkpoint, _ = export(contents, 'mmdet')
    return checkpoint['state_dict']
