"""Gaussian attention bias for timm models: ``vit_relpos_*``, ``vit_srelpos_*`` and Swin.

timm itself is not patched, see :mod:`mmgab.models.gaussian_positions`.
"""

from collections.abc import Iterator
from typing import TypeVar

from torch import nn

from mmgab.layers.gaussian_bias import GaussianBias

from .gaussian_positions import TABLE, add_to_network, add_to_table, has_gaussian, take_away

Network = TypeVar('Network', bound=nn.Module)


def add_gaussian_bias(model: Network, **gab_cfg: object) -> Network:
    """Add a learnable Gaussian to every relative-position bias of a timm model, in place.

    timm's ``set_input_size`` works before and after. It resizes the sum of table and Gaussian;
    sigma stays unchanged, in tokens.

    Args:
        model: A timm model.
        gab_cfg: Arguments of :class:`GaussianBias` except ``init`` and ``rescale_sigma``, which
            only affect loading.

    Returns:
        The model itself.

    Raises:
        ValueError: If the model has no supported relative-position bias, or already has Gaussians.
    """
    owners = list(_owners(model))
    if not owners:
        raise ValueError(
            f'{type(model).__name__} has no relative-position bias to add a Gaussian to; supported '
            'are relative-position tables (Swin, RelPosBias) and RelPosMlp'
        )
    if any(map(has_gaussian, owners)):
        raise ValueError(
            f'{type(model).__name__} has Gaussians already; call remove_gaussian_bias first'
        )
    for owner in owners:
        is_mlp = _is_mlp(owner)
        heads = owner.num_heads if is_mlp else getattr(owner, TABLE).shape[1]
        assert isinstance(heads, int)
        gaussian = GaussianBias.from_cfg(gab_cfg, heads).to(next(owner.parameters()).device)
        add = add_to_network if is_mlp else add_to_table
        add(owner, gaussian)
    return model


def remove_gaussian_bias(model: Network) -> Network:
    """Remove the Gaussians from a timm model, in place; all other weights stay.

    Raises:
        ValueError: If the model has no Gaussians.
    """
    return _take_away(model, keep_sum=False)


def fold_gaussian_bias(model: Network) -> Network:
    """Fold the Gaussians into timm's tables, in place; the model's function stays the same.

    Raises:
        ValueError: If the model has no Gaussians, or uses RelPosMlp, which has no table.
    """
    if any(_is_mlp(owner) for owner in _owners(model)):
        raise ValueError(
            f'{type(model).__name__} uses RelPosMlp, which has no table to fold a Gaussian into; '
            'keep the Gaussian, or call remove_gaussian_bias'
        )
    return _take_away(model, keep_sum=True)


def _owners(model: nn.Module) -> Iterator[nn.Module]:
    """Iterate over the modules that own a relative-position bias."""
    for module in model.modules():
        has_table = hasattr(module, TABLE) and hasattr(module, 'window_size')
        if has_table or _is_mlp(module):
            yield module


def _is_mlp(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in ('get_bias', 'mlp', 'bias_act', 'rel_coords_log'))


def _take_away(model: Network, keep_sum: bool) -> Network:
    owners = [owner for owner in _owners(model) if has_gaussian(owner)]
    if not owners:
        raise ValueError(f'{type(model).__name__} has no Gaussians; call add_gaussian_bias first')
    for owner in owners:
        take_away(owner, keep_sum)
    return model
