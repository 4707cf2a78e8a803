"""The Gaussian in timm's own networks: any ``vit_relpos_*``, ``vit_srelpos_*`` and Swin.

Where position is a table, the table becomes a parametrization of itself (torch.nn.utils), so that
whoever reads it, the fused route or the other, reads the sum. Where it is a network (RelPosMlp),
its output goes through the sum. Nothing of timm is patched.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .gaussian_bias import GaussianBias
from .geometry import window_geometry

_TABLE = 'relative_position_bias_table'


def add_gaussian_bias(model: nn.Module, **gab_cfg) -> nn.Module:
    """Add a learnable Gaussian to every relative position of a timm network, in place.

    Set the image size before: a network with Gaussians refuses another one for its tables.

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
    if any(_has_gaussian(owner) for owner in owners):
        raise ValueError(f'{type(model).__name__} has Gaussians already')
    for owner in owners:
        place = next(owner.parameters())
        gaussian = GaussianBias.from_cfg(gab_cfg, owner.num_heads if _is_mlp(owner) else
                                         getattr(owner, _TABLE).shape[1])  # fmt: skip
        gaussian.to(place.device)
        window = tuple(owner.window_size)
        if _is_mlp(owner):
            owner.bias_act = _BiasPlusGaussian(owner.bias_act, gaussian, window, owner.bias_gain)
        else:
            parametrize.register_parametrization(
                owner, _TABLE, _TablePlusGaussian(gaussian, window)
            )
    return model


def remove_gaussian_bias(model: nn.Module) -> nn.Module:
    """Take the Gaussians away again, in place: the network as it was, but for what it has learned.

    Raises:
        ValueError: If there are none.
    """
    return _take_away(model, keep_sum=False)


def fold_gaussian_bias(model: nn.Module) -> nn.Module:
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


class _TablePlusGaussian(nn.Module):
    """A table ``(T, heads)`` and the Gaussian; rows behind ``T``, of a class token, stay."""

    def __init__(self, gaussian: GaussianBias, window: tuple[int, int]) -> None:
        super().__init__()
        self.gaussian, self.window = gaussian, window

    def forward(self, table: Tensor) -> Tensor:
        offsets, _ = window_geometry(self.window, table.device)
        bias = self.gaussian(offsets).to(table.dtype).expand(-1, table.shape[1])
        return table + nn.functional.pad(bias, (0, 0, 0, len(table) - len(bias)))


class _BiasPlusGaussian(nn.Module):
    """What RelPosMlp does to its biases ``(heads, N, N)``, and the Gaussian."""

    def __init__(
        self,
        activation: nn.Module,
        gaussian: GaussianBias,
        window: tuple[int, int],
        gain: float | None,
    ) -> None:
        super().__init__()
        self.activation, self.gaussian, self.window = activation, gaussian, window
        self.gain = gain or 1.0  # timm multiplies by it afterwards

    def forward(self, bias: Tensor) -> Tensor:
        offsets, index = window_geometry(self.window, bias.device)
        if bias.shape[-1] != len(index):
            raise ValueError(
                f'a Gaussian for windows of {self.window} tokens, and a bias for {bias.shape[-1]}: '
                'set the image size before add_gaussian_bias'
            )
        gaussian = self.gaussian(offsets)[index].permute(2, 0, 1)
        return self.activation(bias) + gaussian.to(bias.dtype) / self.gain


def _owners(model: nn.Module) -> Iterator[nn.Module]:
    """Modules that hold a relative position."""
    for module in model.modules():
        has_table = hasattr(module, _TABLE) and hasattr(module, 'window_size')
        if has_table or _is_mlp(module):
            yield module


def _is_mlp(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in ('get_bias', 'mlp', 'bias_act', 'rel_coords_log'))


def _has_gaussian(owner: nn.Module) -> bool:
    if _is_mlp(owner):
        return isinstance(owner.bias_act, _BiasPlusGaussian)
    return parametrize.is_parametrized(owner, _TABLE)


def _take_away(model: nn.Module, keep_sum: bool) -> nn.Module:
    owners = [owner for owner in _owners(model) if _has_gaussian(owner)]
    if not owners:
        raise ValueError(f'{type(model).__name__} has no Gaussians')
    for owner in owners:
        if _is_mlp(owner):
            owner.bias_act = owner.bias_act.activation
        else:
            with torch.no_grad():
                parametrize.remove_parametrizations(owner, _TABLE, leave_parametrized=keep_sum)
    return model
