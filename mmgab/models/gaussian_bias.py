"""The Gaussian attention bias (Kim et al., BMVC 2023, arXiv 2305.04722): formula, parameters."""

import difflib
import inspect
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

# exp(-1 / 1e-6) is exactly 0 in single and double precision, so a smaller variance has the same
# values and the same (zero) gradient, without dividing by zero.
_MIN_TWICE_VARIANCE = 1e-6


def gaussian_table(offsets: Tensor, amplitude: Tensor, sigma: Tensor) -> Tensor:
    r"""Gaussian bias of every relative offset.

    .. math:: B(dy, dx) = a^2 \exp\left(-\frac{dy^2 + dx^2}{2 \sigma^2}\right)

    (arXiv 2305.04722, the Gaussian attention bias, as the authors' code parametrises it: the
    amplitude enters squared, and the peak is not normalised). Finite, with finite gradients, for
    any sigma; at 0 it is the limit, ``a^2`` at offset zero and 0 elsewhere.

    Args:
        offsets: ``(T, 2)``, ``(dy, dx)`` in tokens.
        amplitude: ``(1,)`` or ``(heads,)``, the ``a`` above; ``a^2`` is in logits.
        sigma: ``(1,)`` or ``(heads,)``, in tokens; its sign does not matter.

    Returns:
        ``(T, 1)`` or ``(T, heads)``, in logits.
    """
    squared_distance = offsets.square().sum(dim=1, keepdim=True)  # (T, 1), tokens^2
    twice_variance = (2 * sigma.square()).clamp_min(_MIN_TWICE_VARIANCE)
    return amplitude.square() * torch.exp(-squared_distance / twice_variance)


class GaussianBias(nn.Module):
    """Amplitude and width of the Gaussian of one attention layer.

    The parameters are one-dimensional even when the heads share them: the weight-decay rules of
    OpenMMLab's optimizer constructors pass over zero-dimensional ones.

    Args:
        num_heads: Heads of the layer.
        amplitude: Initial ``a``; the bias starts at ``a^2`` logits for a token itself.
        sigma: Initial width in tokens of this layer's grid. The paper's 5 is for a 14 x 14 grid; in
            a window of 7 x 7 it leaves 0.24 of the peak at the farthest corner.
        per_head: One Gaussian for each head instead of one shared by the heads of the layer.
        learnable: Train amplitude and sigma, or keep them as they are.

    Raises:
        TypeError: If a value is not of the type above.
        ValueError: If ``amplitude`` or ``sigma`` is negative or not finite, or is zero and
            learnable (the gradient of a zero stays zero: it would never learn).
    """

    def __init__(
        self,
        num_heads: int,
        amplitude: float = 1.0,
        sigma: float = 5.0,
        per_head: bool = False,
        learnable: bool = True,
    ) -> None:
        super().__init__()
        _require_bool('per_head', per_head)
        _require_bool('learnable', learnable)
        size = num_heads if per_head else 1
        for name, value in (('amplitude', amplitude), ('sigma', sigma)):
            _require_start(name, value, learnable)
            parameter = nn.Parameter(torch.full((size,), float(value)), requires_grad=learnable)
            self.register_parameter(name, parameter)

    @classmethod
    def from_cfg(cls, gab_cfg: Mapping, num_heads: int) -> 'GaussianBias':
        """Build from a config's ``gab_cfg``: any of the arguments above but ``num_heads``.

        Raises:
            TypeError: If ``gab_cfg`` is not a mapping.
            ValueError: If it has a key that is no argument.
        """
        if not isinstance(gab_cfg, Mapping):
            raise TypeError(f'gab_cfg must be a dict or None (plain Swin), got {gab_cfg!r}')
        known = [name for name in inspect.signature(cls).parameters if name != 'num_heads']
        for key in gab_cfg:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                hint = f'; did you mean {close[0]!r}?' if close else ''
                raise ValueError(f'gab_cfg has no key {key!r}{hint} Known keys: {known}')
        return cls(num_heads, **gab_cfg)

    def forward(self, offsets: Tensor) -> Tensor:
        """Bias of every offset, see :func:`gaussian_table`."""
        return gaussian_table(offsets, self.amplitude, self.sigma)

    def extra_repr(self) -> str:
        """Shape and whether it trains, for ``print(model)``."""
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
            f'gab_cfg: {name}=0 has no gradient and would never learn; start from a small value '
            '(0.05, say) or set learnable=False'
        )
