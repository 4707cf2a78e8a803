"""The parameters of the Gaussian attention bias (Kim et al., BMVC 2023, arXiv 2305.04722)."""

import inspect
import math
from collections.abc import Mapping, MutableMapping

import torch
from torch import Tensor, nn

from mmgab.functional import gaussian_table, split_gaussian
from mmgab.log import log

from .validation import check_keys

_INITS = ('paper', 'fit')


class GaussianBias(nn.Module):
    """Learnable amplitude and width (sigma) of one attention layer's Gaussian bias.

    The parameters are one-dimensional even when shared by the heads, because weight-decay rules of
    OpenMMLab's optimizer constructors do not match zero-dimensional parameters.

    Args:
        num_heads: Heads of the layer.
        amplitude: Initial ``a``; the bias starts at ``a^2`` logits for a token itself.
        sigma: Initial width in tokens of this layer's grid. The paper's 5 is for a 14 x 14 grid;
            in a window of 7 x 7 it leaves 0.24 of the peak at the farthest corner.
        per_head: One Gaussian for each head instead of one shared by the heads of the layer.
        learnable: Train amplitude and sigma; False freezes them.
        init: Treatment of a pretrained table without a Gaussian. ``'paper'`` adds the initial
            Gaussian on top of it, as the paper's code does. ``'fit'`` splits the table into a
            Gaussian and a remainder, which leaves the network's output unchanged.
        rescale_sigma: Multiply the sigma of a Gaussian trained with another window by the square
            root of the ratio of the windows' areas, so that it covers the same share of the
            window. False keeps its width in tokens.

    Raises:
        TypeError: If a value has the wrong type.
        ValueError: If ``amplitude`` or ``sigma`` is negative or not finite, or is zero and
            learnable (its gradient would always be zero), or ``init`` is unknown.
    """

    def __init__(
        self,
        num_heads: int,
        amplitude: float = 1.0,
        sigma: float = 5.0,
        per_head: bool = False,
        learnable: bool = True,
        init: str = 'paper',
        rescale_sigma: bool = False,
    ) -> None:
        super().__init__()
        _require_bool('per_head', per_head)
        _require_bool('learnable', learnable)
        _require_bool('rescale_sigma', rescale_sigma)
        if init not in _INITS:
            raise ValueError(f'gab_cfg: init must be one of {_INITS}, got {init!r}')
        self.init = init
        self.per_head = per_head
        self.rescale_sigma = rescale_sigma
        size = num_heads if per_head else 1
        for name, value in (('amplitude', amplitude), ('sigma', sigma)):
            _require_start(name, value, learnable)
            parameter = nn.Parameter(torch.full((size,), float(value)), requires_grad=learnable)
            self.register_parameter(name, parameter)

    amplitude: Tensor
    sigma: Tensor

    @classmethod
    def from_cfg(cls, gab_cfg: Mapping, num_heads: int) -> 'GaussianBias':
        """Build from a config's ``gab_cfg``, which may have any argument above but ``num_heads``.

        Raises:
            TypeError: If ``gab_cfg`` is not a mapping.
            ValueError: If it has an unknown key.
        """
        if not isinstance(gab_cfg, Mapping):
            raise TypeError(f'gab_cfg must be a dict or None (no Gaussian), got {gab_cfg!r}')
        known = [name for name in inspect.signature(cls).parameters if name != 'num_heads']
        check_keys('gab_cfg', gab_cfg, known)
        return cls(num_heads, **gab_cfg)

    def forward(self, offsets: Tensor) -> Tensor:
        """Compute the bias of every offset, see :func:`mmgab.functional.gaussian_table`."""
        return gaussian_table(offsets, self.amplitude, self.sigma)

    def adapt_to_table(
        self,
        state_dict: MutableMapping[str, Tensor],
        prefix: str,
        table: str,
        offsets: Tensor,
        window_ratio: float,
    ) -> None:
        """Rescale a checkpoint's Gaussian, or fit one to its table, according to the options.

        Args:
            state_dict: State dict to load; changed in place.
            prefix: Prefix of this module's tensor names.
            table: Name of the relative-position table, which is present and has its final size.
            offsets: ``(T, 2)``, ``(dy, dx)`` in tokens.
            window_ratio: Root of the ratio of the window's area to the one it comes from.
        """
        amplitude, sigma = f'{prefix}amplitude', f'{prefix}sigma'
        if self.rescale_sigma and sigma in state_dict:
            state_dict[sigma] = state_dict[sigma] * window_ratio
        if self.init == 'fit' and not {amplitude, sigma} & set(state_dict):
            split = split_gaussian(state_dict[table], offsets, per_head=self.per_head)
            state_dict[table] = split.remainder
            state_dict[amplitude], state_dict[sigma] = split.amplitude, split.sigma
            log(f'{prefix.rstrip(".")} split off: {split}')

    def extra_repr(self) -> str:
        """Return the number of Gaussians and whether they train, for ``print(model)``."""
        return f'gaussians={len(self.sigma)}, learnable={self.sigma.requires_grad}'


def _require_bool(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f'gab_cfg: {name} must be True or False, got {value!r}')


def _require_start(name: str, value: object, learnable: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f'gab_cfg: {name} must be a number, got {value!r}')
    if value < 0 or not math.isfinite(value):
        raise ValueError(f'gab_cfg: {name} must be finite and not negative, got {value!r}')
    if value == 0 and learnable:
        raise ValueError(
            f'gab_cfg: {name}=0 has no gradient and would never learn; use a small value such as '
            '0.05, or set learnable=False'
        )
