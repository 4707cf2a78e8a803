"""The Gaussian in timm's own networks: any ``vit_relpos_*``, ``vit_srelpos_*`` and Swin.

Nothing of timm is patched: see :mod:`mmgab.models.gaussian_positions`.
"""

from collections.abc import Iterator
from typing import TypeVar

from torch import nn

from mmgab.layers.gaussian_bias import GaussianBias

from .gaussian_positions import TABLE, add_to_network, add_to_table, has_gaussian, take_away

Network = TypeVar('Network', bound=nn.Module)


def add_gaussian_bias(model: Network, **gab_cfg: object) -> Network:
    """Add a learnable Gaussian to every relative position of a timm network, in place.

    timm's ``set_input_size`` works before and after. It resizes the table that it reads, which is
    the sum; sigma keeps its size in tokens.

    Args:
        model: Of timm.
        gab_cfg: Arguments of :class:`GaussianBias` but ``init`` and ``rescale_sigma``, which are
            about loading.

    Returns:
        The model itself.

    Raises:
        ValueError: If it has no relative position that is known here, or has Gaussians already.
    """
    owners = list(_owners(model))
    if not owners:
        raise ValueError(
            f'{type(model).__name__} has no relative-position table (Swin, RelPosBias) and no '
            'RelPosMlp: there is nothing to add a Gaussian to'
        )
    if any(map(has_gaussian, owners)):
        raise ValueError(f'{type(model).__name__} has Gaussians already')
    for owner in owners:
        is_mlp = _is_mlp(owner)
        heads = owner.num_heads if is_mlp else getattr(owner, TABLE).shape[1]
        assert isinstance(heads, int)
        gaussian = GaussianBias.from_cfg(gab_cfg, heads).to(next(owner.parameters()).device)
        add = add_to_network if is_mlp else add_to_table
        add(owner, gaussian)
    return model


def remove_gaussian_bias(model: Network) -> Network:
    """Take the Gaussians away again, in place: the network as it was, but for what it has learned.

    Raises:
        ValueError: If there are none.
    """
    return _take_away(model, keep_sum=False)


def fold_gaussian_bias(model: Network) -> Network:
    """Add the Gaussians to the tables for good, in place: the same function, timm's own tensors.

    Raises:
        ValueError: If there are none, or a position is a network, which has no table.
    """
    if any(_is_mlp(owner) for owner in _owners(model)):
        raise ValueError(
            f'{type(model).__name__} has RelPosMlp, which is no table: a Gaussian cannot be folded '
            'into it; keep it, or remove_gaussian_bias'
        )
    return _take_away(model, keep_sum=True)


def _owners(model: nn.Module) -> Iterator[nn.Module]:
    """Modules that hold a relative position."""
    for module in model.modules():
        has_table = hasattr(module, TABLE) and hasattr(module, 'window_size')
        if has_table or _is_mlp(module):
            yield module


def _is_mlp(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in ('get_bias', 'mlp', 'bias_act', 'rel_coords_log'))


def _take_away(model: Network, keep_sum: bool) -> Network:
    owners = [owner for owner in _owners(model) if has_gaussian(owner)]
    if not owners:
        raise ValueError(f'{type(model).__name__} has no Gaussians')
    for owner in owners:
        take_away(owner, keep_sum)
    return model
