"""Measurement of effective receptive fields (Luo et al., arXiv 1701.04128).

The field is the gradient of a unit with respect to the image, over many images. Any function from
images to a feature map is supported. Memory use is independent of the number of images.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .protocols import Protocol
from .units import Unit, UnitRule

# Number of groups in which images are summed; bootstrap intervals resample the groups. Up to this
# many images, each image is its own group.
GROUPS = 32
_ROUNDING = 1e-6  # relative error of a float32 sum over channels


@dataclass
class ContributionSums:
    """Running sums over images of one unit's contributions.

    Attributes:
        groups: ``(GROUPS, H, W)``, sums to which images are assigned in turn.
        squares: ``(H, W)``, sum of squares.
        count: Number of images.
    """

    groups: np.ndarray
    squares: np.ndarray
    count: int = 0

    @classmethod
    def empty(cls, size: tuple[int, int]) -> 'ContributionSums':
        """Create sums of zero images of ``size`` pixels."""
        return cls(np.zeros((GROUPS, *size)), np.zeros(size))

    def add(self, contributions: np.ndarray) -> None:
        """Add an image's map ``(H, W)``."""
        self.groups[self.count % GROUPS] += contributions
        self.squares += contributions**2
        self.count += 1

    @property
    def mean(self) -> np.ndarray:
        """Mean over images, ``(H, W)``."""
        return self.groups.sum(axis=0) / self.count

    @property
    def second_moment(self) -> np.ndarray:
        """Mean over images of the square, ``(H, W)``."""
        return self.squares / self.count

    def resampled(self, draw: np.random.Generator) -> np.ndarray:
        """Draw one bootstrap sample: a sum ``(H, W)`` over groups drawn with replacement."""
        filled = min(self.count, GROUPS)
        times = draw.multinomial(filled, np.full(filled, 1 / filled))
        return np.tensordot(times.astype(float), self.groups[:filled], axes=1)


@dataclass
class Erf:
    """Effective receptive fields of some units of one layer.

    Attributes:
        protocol: Name of the protocol.
        size: Height and width of the images, in pixels.
        grid: Height and width of the feature map.
        units: The units.
        sums: Sums over images, for each unit.
        refused: Reason by name, for images without a usable gradient.
        seen: Number of processed images, including the refused ones.
    """

    protocol: str
    size: tuple[int, int]
    grid: tuple[int, int]
    units: Sequence[Unit]
    sums: Sequence[ContributionSums]
    refused: dict[str, str] = field(default_factory=dict)
    seen: int = 0

    @property
    def stride(self) -> tuple[float, float]:
        """Pixels between neighbouring locations of the feature map, by row and by column."""
        return _stride(self.size[0], self.grid[0]), _stride(self.size[1], self.grid[1])

    def centre(self, index: int) -> tuple[float, float]:
        """Row and column of a unit in the image, in pixels."""
        return self.units[index].centre(self.stride)


def measure_erf(
    features: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Sequence[str], Tensor]],
    units: UnitRule,
    protocol: Protocol,
    start: Erf | None = None,
) -> Iterator[Erf]:
    """Measure effective receptive fields, batch by batch.

    Args:
        features: Function from images ``(B, channels, H, W)`` to a map ``(B, C, h, w)``. Each
            image's map must be independent of the other images.
        batches: Image names and images, all of the same size.
        units: Rule that selects the units of a map.
        protocol: Scalar to differentiate, and reduction of gradients to contributions.
        start: Earlier measurement to resume; None to start from scratch.

    Yields:
        The fields after each batch, always the same object.

    Raises:
        ValueError: If a unit is outside the map, or images differ in size.
    """
    erf = start
    for names, images in batches:
        images = images.detach().requires_grad_()
        feature_map = features(images)
        size, grid = _sides(images), _sides(feature_map)
        if erf is None:
            chosen = units(grid)
            erf = Erf(protocol.name, size, grid, chosen, [_empty(size) for _ in chosen])
        if (size, grid) != (tuple(erf.size), tuple(erf.grid)):
            raise ValueError(
                f'{names[0]}: all images must have the same size, got {size} pixels with a map of '
                f'{grid}, after {tuple(erf.size)} pixels with a map of {tuple(erf.grid)}'
            )
        maps, are_constant = _contributions(feature_map, images, erf.units, protocol)
        _add(erf, names, maps, are_constant)
        yield erf


_empty = ContributionSums.empty


def _sides(maps: Tensor) -> tuple[int, int]:
    height, width = maps.shape[-2:]
    return height, width


def _contributions(
    feature_map: Tensor, images: Tensor, units: Sequence[Unit], protocol: Protocol
) -> tuple[np.ndarray, np.ndarray]:
    """Compute maps ``(units, B, H, W)``, and flags ``(B,)`` of images with a constant scalar.

    The channels of a layer norm without affine parameters always have a mean of zero. The gradient
    of this mean consists of rounding errors, which can look like a receptive field.
    """
    maps, are_constant = [], np.zeros(len(images), dtype=bool)
    for index, unit in enumerate(units):
        rows, cols = zip(*unit.positions, strict=True)
        activations = feature_map[:, :, rows, cols].float()
        scalar = protocol.scalar(activations)
        are_constant |= _is_balanced(activations, scalar, protocol).cpu().numpy()
        keep = index + 1 < len(units)
        (gradient,) = torch.autograd.grad(scalar.sum(), images, retain_graph=keep)
        maps.append(protocol.reduce(gradient.float()).cpu().numpy().astype(np.float64))
    return np.stack(maps), are_constant


@torch.no_grad()
def _is_balanced(activations: Tensor, scalar: Tensor, protocol: Protocol) -> Tensor:
    """Return True for scalars that are zero because channels cancel out, ``(B,)``."""
    channels = activations.mean(dim=(1, 2)).abs() < _ROUNDING * activations.abs().mean(dim=(1, 2))
    return channels & (scalar.abs() < _ROUNDING * protocol.scalar(activations.abs()))


def _add(
    erf: Erf, names: Sequence[str], contributions: np.ndarray, are_constant: np.ndarray
) -> None:
    of_images = zip(names, contributions.swapaxes(0, 1), are_constant, strict=True)
    for name, maps, is_constant in of_images:
        erf.seen += 1
        if not np.isfinite(maps).all():
            erf.refused[name] = 'gradients that are not finite'
        elif is_constant:
            erf.refused[name] = (
                'channels whose mean is zero whatever the image: the layer ends with a norm that '
                'was not trained; measure what comes before it'
            )
        elif not maps.any(axis=(1, 2)).all():
            erf.refused[name] = 'gradients that are all zero'
        else:
            for sums, one in zip(erf.sums, maps, strict=True):
                sums.add(one)


def _stride(pixels: int, places: int) -> float:
    """Return the stride: exact if the sides divide, otherwise rounded up to a power of two."""
    if pixels % places == 0:
        return pixels / places
    return float(2 ** int(np.ceil(np.log2(pixels / places))))
