"""Dynamic subclasses of timm's modules whose relative-position bias includes a Gaussian.

The module that owns a relative position gets a subclass of its class, whose attribute returns the
sum of table and Gaussian. timm's fused and unfused paths and tracers therefore see the sum. The
module can be pickled, copied and scripted, and it follows timm's changes of the window size.
"""

import inspect
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Protocol, SupportsIndex

import torch
from torch import Tensor, nn

from mmgab.functional import relative_offsets, relative_position_index
from mmgab.layers.gaussian_bias import GaussianBias

TABLE = 'relative_position_bias_table'
_WINDOW = 'window_size'


def add_to_table(owner: nn.Module, gaussian: GaussianBias) -> None:
    """Add a Gaussian to a module's table ``(T, heads)``; rows after the offsets are unchanged."""
    table = owner.get_parameter(TABLE)
    del owner._parameters[TABLE]
    addend = _WindowGaussian(gaussian, _window(owner), len(table), table.device)
    owner.parametrizations = nn.ModuleDict({TABLE: _TablePlusGaussian(table, addend)})
    _mix_in(owner, _ReadsTable)


def add_to_network(owner: nn.Module, gaussian: GaussianBias) -> None:
    """Add a Gaussian to the output of a RelPosMlp."""
    device = next(owner.parameters()).device
    gain = getattr(owner, 'bias_gain', None) or 1.0  # timm multiplies by it afterwards
    activation = owner.get_submodule('bias_act')
    owner.bias_act = _BiasPlusGaussian(activation, gaussian, _window(owner), gain, device)
    _mix_in(owner, _HasNetwork)


def has_gaussian(owner: nn.Module) -> bool:
    """Return True if a module's relative position includes a Gaussian."""
    return isinstance(owner, _ReadsSum)


def take_away(owner: nn.Module, keep_sum: bool) -> None:
    """Remove a module's Gaussian; with ``keep_sum`` fold it into the table."""
    if isinstance(owner, _ReadsTable):
        position = owner.parametrizations[TABLE]
        assert isinstance(position, _TablePlusGaussian)
        with torch.no_grad():
            total = position() if keep_sum else position.original
            position.original.copy_(total)
        del owner.parametrizations
        owner.__class__ = _base(owner)
        owner.register_parameter(TABLE, position.original)
    elif isinstance(owner, _HasNetwork):
        owner.register_module('bias_act', owner.bias_act.activation)
        owner.__class__ = _base(owner)


class _WindowGaussian(nn.Module):
    """Gaussian of every table row; 0 in the class token's rows after the offsets."""

    offsets: Tensor

    def __init__(
        self, gaussian: GaussianBias, window: tuple[int, int], rows: int, device: torch.device
    ) -> None:
        super().__init__()
        self.gaussian = gaussian
        self.register_buffer('offsets', relative_offsets(window, device), persistent=False)
        self.rows_behind = rows - len(self.offsets)

    def forward(self) -> Tensor:
        return nn.functional.pad(self.gaussian(self.offsets), (0, 0, 0, self.rows_behind))


class _TablePlusGaussian(nn.ModuleList):
    """A table and its Gaussian, with the state-dict names of torch's parametrizations."""

    def __init__(self, original: nn.Parameter, addend: _WindowGaussian) -> None:
        super().__init__([addend])
        self.original = original

    def forward(self) -> Tensor:
        table: Tensor = self.original
        for addend in self:
            table = table + addend().to(table.dtype)
        return table

    @torch.no_grad()
    def set_sum(self, total: Tensor, window: tuple[int, int]) -> None:
        """Set the table so that the sum, for another window, is this one."""
        addend = self[0]
        assert isinstance(addend, _WindowGaussian)
        addend.offsets = relative_offsets(window, total.device).to(addend.offsets.dtype)
        table = total - addend().to(total.dtype)
        self.original = nn.Parameter(table, requires_grad=self.original.requires_grad)


class _BiasPlusGaussian(nn.Module):
    """Activation of a RelPosMlp's bias ``(heads, N, N)``, plus the Gaussian."""

    offsets: Tensor
    index: Tensor

    def __init__(
        self,
        activation: nn.Module,
        gaussian: GaussianBias,
        window: tuple[int, int],
        gain: float,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.activation, self.gaussian, self.gain = activation, gaussian, float(gain)
        self.register_buffer('offsets', relative_offsets(window, device), persistent=False)
        self.register_buffer('index', relative_position_index(window, device), persistent=False)

    def forward(self, bias: Tensor) -> Tensor:
        gaussian = self.gaussian(self.offsets)[self.index].permute(2, 0, 1)
        return self.activation(bias) + gaussian.to(bias.dtype) / self.gain

    def set_window(self, window: tuple[int, int]) -> None:
        """Recompute the offsets for another window."""
        device = self.offsets.device
        self.offsets = relative_offsets(window, device).to(self.offsets.dtype)
        self.index = relative_position_index(window, device)


class _ReadsSum:
    """Mix-in of modules with a Gaussian in their position; pickled by their original class."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple:
        return _new, type(self).__bases__, self.__dict__


class _Positions(Protocol):
    """Type of a ``nn.ModuleDict`` with one table, read by attribute as TorchScript requires."""

    relative_position_bias_table: Callable[[], Tensor]

    def __getitem__(self, name: str) -> nn.Module:
        """Return an entry."""


class _ReadsTable(_ReadsSum):
    if TYPE_CHECKING:  # TorchScript would read them too
        parametrizations: _Positions

    @property
    def relative_position_bias_table(self) -> Tensor:
        return self.parametrizations.relative_position_bias_table()

    def __setattr__(self, name: str, value: object) -> None:
        position = self.parametrizations[TABLE] if name == TABLE else None
        if isinstance(position, _TablePlusGaussian) and isinstance(value, Tensor):
            position.set_sum(value, _window(self))
        else:
            super().__setattr__(name, value)


class _HasNetwork(_ReadsSum):
    if TYPE_CHECKING:
        bias_act: _BiasPlusGaussian

    def set_window_size(self, window_size: tuple[int, int]) -> None:
        super().set_window_size(window_size)  # type: ignore[misc]  # of timm's RelPosMlp behind it
        self.bias_act.set_window(_window(self))


def _window(owner: object) -> tuple[int, int]:
    height, width = getattr(owner, _WINDOW)
    return height, width


def _mix_in(owner: nn.Module, mixin: type) -> None:
    base: type = type(owner)
    owner.__class__ = _subclass(mixin, base)


@cache
def _subclass(mixin: type, base: type) -> type:
    # TorchScript reads only the annotations of an instance's own class.
    namespace = dict(__annotations__=inspect.get_annotations(base))
    return type(base.__name__, (mixin, base), namespace)


def _base(owner: nn.Module) -> type:
    """Return the owner's original class."""
    _, base = type(owner).__bases__
    return base


def _new(mixin: type, base: type) -> nn.Module:
    module: nn.Module = object.__new__(_subclass(mixin, base))
    return module
