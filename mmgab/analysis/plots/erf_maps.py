"""Plots of effective receptive fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmgab.analysis.erf.metrics import Rings, normalised

from .figures import Axes, AxesImage, matplotlib, plt, save

_INCHES = 3.2
_DECADES = 4  # of the logarithmic scale; smaller values are clipped
_MAP = 'magma'
_LINES = dict(row='#1b9e77', column='#d95f02', distance='#7570b3')
_CIRCLES = {0.5: '-', 0.9: '--'}  # share of the sum inside, and line style
_ZOOM = 1.25  # half the side of a crop, in radii with 90 % of the sum inside
_SMALLEST = 8.0  # pixels, minimum of that half side
_DARK = dict(facecolor='0.25', labelcolor='w')  # a legend on which white lines are visible


@dataclass(frozen=True)
class ErfPicture:
    """A receptive field to draw.

    Attributes:
        title: Title of one or two lines.
        contributions: ``(H, W)``.
        centre: The unit's row and column, in pixels.
    """

    title: str
    contributions: np.ndarray
    centre: tuple[float, float]

    @property
    def mass(self) -> np.ndarray:
        """Contributions divided by the sum of their absolute values."""
        return self.contributions / np.abs(self.contributions).sum()

    def radius(self, share: float) -> float:
        """Return the radius in pixels of the circle about the unit with a share of the sum."""
        rings = Rings.about(self.centre, self.contributions.shape, np.hypot)
        return rings.radius_of(normalised(self.contributions), share)


def plot_erf(picture: ErfPicture, heading: str, path: Path) -> None:
    """Draw one field as a linear crop, a complete logarithmic map and profiles.

    Args:
        picture: The field.
        heading: Figure title, with protocol, images and size.
        path: PNG or PDF to write.
    """
    figure, (linear, decades, profiles) = plt.subplots(
        1, 3, figsize=(4.4 * _INCHES, 1.3 * _INCHES), layout='constrained'
    )
    figure.suptitle(f'{picture.title}\n{heading}', fontsize=10)
    top = np.abs(picture.mass).max()
    for axes, is_log in ((linear, False), (decades, True)):
        is_light = _is_light([picture], is_log)
        image = _draw(axes, picture, top, is_log, is_light)
        _draw_circles(axes, picture, 'k' if is_light else 'w')
        scale = 'logarithmic' if is_log else 'linear'
        figure.colorbar(image, ax=axes, shrink=0.85, label=f'part of the sum, {scale}')
    _zoom(linear, [picture])
    decades.legend(fontsize=7, loc='upper right', **_DARK)
    for name, (distance, values) in _profiles(picture).items():
        profiles.plot(distance, values, label=name, color=_LINES[name], linewidth=1.2)
    profiles.set(yscale='log', xlabel='pixels from the unit', ylabel='mean part of the sum')
    profiles.set_ylim(top * 10.0**-_DECADES / 10, top * 2)
    profiles.grid(alpha=0.3)
    profiles.legend(title='along a', fontsize=8)
    save(figure, path)


def plot_erfs(
    rows: Mapping[str, Sequence[ErfPicture]], heading: str, path: Path, is_log: bool = True
) -> None:
    """Draw fields side by side on one scale.

    Args:
        rows: Fields of each row, by its name.
        heading: Figure title, with what all fields have in common.
        path: PNG or PDF to write.
        is_log: Use a logarithmic colour scale.
    """
    columns = max(len(pictures) for pictures in rows.values())
    figure, grid = plt.subplots(
        len(rows),
        columns,
        figsize=(_INCHES * columns + 0.8, _INCHES * 1.1 * len(rows) + 0.5),
        squeeze=False,
        layout='constrained',
    )
    figure.suptitle(heading, fontsize=10)
    everything = [picture for pictures in rows.values() for picture in pictures]
    top = max(np.abs(picture.mass).max() for picture in everything)
    is_light = _is_light(everything, is_log)
    for line, (name, pictures) in zip(grid, rows.items(), strict=True):
        for axes in line[len(pictures) :]:
            axes.axis('off')
        for axes, picture in zip(line, pictures, strict=False):
            image = _draw(axes, picture, top, is_log, is_light)
            _draw_circles(axes, picture, 'k' if is_light else 'w')
            axes.legend(fontsize=6, loc='upper right', **({} if is_light else _DARK))
            if not is_log:
                _zoom(axes, everything)
            axes.set_title(picture.title, fontsize=8)
        line[0].set_ylabel(f'{name}\npixels', fontsize=8)
    scale = 'logarithmic' if is_log else 'linear'
    figure.colorbar(image, ax=grid, shrink=0.8, label=f'part of the sum, {scale}')
    save(figure, path)


def plot_erf_difference(first: ErfPicture, second: ErfPicture, heading: str, path: Path) -> None:
    """Draw the difference of two fields of the same size, cropped around both.

    Args:
        first: Field to subtract.
        second: Field that it is subtracted from.
        heading: Figure title, with what both fields have in common.
        path: PNG or PDF to write.

    Raises:
        ValueError: If their sizes differ.
    """
    if first.mass.shape != second.mass.shape:
        raise ValueError(
            'a difference needs fields of the same size, got '
            f'{first.mass.shape} and {second.mass.shape} pixels'
        )
    difference = second.mass - first.mass
    figure, axes = plt.subplots(figsize=(1.7 * _INCHES, 1.8 * _INCHES), layout='constrained')
    figure.suptitle(heading, fontsize=9)
    limit = np.abs(difference).max() or 1.0
    image = axes.imshow(difference, cmap='RdBu_r', vmin=-limit, vmax=limit)
    for picture, color in ((first, 'tab:blue'), (second, 'tab:red')):
        _draw_circles(axes, picture, color, picture.title.splitlines()[0])
    _zoom(axes, [first, second])
    axes.set(xlabel='pixels', ylabel='pixels')
    names = [picture.title.splitlines()[0] for picture in (second, first)]
    axes.set_title('\nminus '.join(names), fontsize=9)
    axes.legend(fontsize=6, loc='upper center', bbox_to_anchor=(0.5, -0.13))
    figure.colorbar(image, ax=axes, shrink=0.85, label='part of the sum')
    save(figure, path)


def _draw(axes: Axes, picture: ErfPicture, top: float, is_log: bool, is_light: bool) -> AxesImage:
    mass = picture.mass
    if is_log:
        bottom = top * 10.0**-_DECADES
        norm = matplotlib.colors.LogNorm(bottom, top)
        image = axes.imshow(np.abs(mass).clip(bottom), cmap=_MAP, norm=norm)
    elif is_light:
        image = axes.imshow(mass, cmap='RdBu_r', vmin=-top, vmax=top)
    else:
        image = axes.imshow(mass, cmap=_MAP, vmin=0, vmax=top)
    row, col = picture.centre
    color = 'k' if is_light else 'w'
    axes.plot(col, row, '+', color=color, markersize=5, markeredgewidth=0.7)
    axes.tick_params(labelsize=7)
    axes.set_xlabel('pixels', fontsize=8)
    return image


def _is_light(pictures: Sequence[ErfPicture], is_log: bool) -> bool:
    """Return True if zero is drawn white on the common scale: linear maps with a sign."""
    return not is_log and any(picture.mass.min() < 0 for picture in pictures)


def _draw_circles(axes: Axes, picture: ErfPicture, color: str, name: str | None = None) -> None:
    """Draw the circles with half and with nine tenths of the sum inside."""
    row, col = picture.centre
    for share, style in _CIRCLES.items():
        radius = picture.radius(share)
        label = f'{share:.0%} within {radius:.0f} pixels'
        circle = plt.Circle(
            (col, row),
            radius,
            fill=False,
            color=color,
            linestyle=style,
            linewidth=0.9,
            label=label if name is None else f'{name}: {label}',
        )
        axes.add_patch(circle)


def _zoom(axes: Axes, pictures: Sequence[ErfPicture]) -> None:
    """Crop the map to the area around the circles of all plots."""
    half = max(_SMALLEST, *(_ZOOM * picture.radius(0.9) for picture in pictures))
    height, width = pictures[0].contributions.shape
    row, col = pictures[0].centre
    axes.set_xlim(max(col - half, -0.5), min(col + half, width - 0.5))
    axes.set_ylim(min(row + half, height - 0.5), max(row - half, -0.5))


def _profiles(picture: ErfPicture) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Compute mean profiles along the unit's row and column and over rings, by distance."""
    mass, (row, col) = np.abs(picture.mass), picture.centre
    height, width = mass.shape
    rows, cols = np.arange(height), np.arange(width)
    ring = np.hypot(rows[:, None] - row, cols[None, :] - col).round().astype(int)
    pixels = np.bincount(ring.ravel())
    distance = np.flatnonzero(pixels)  # 0 is missing if the unit lies between pixels
    means = np.bincount(ring.ravel(), mass.ravel())[distance] / pixels[distance]
    near_row = mass[np.abs(rows - row) <= 1].mean(axis=0)
    near_col = mass[:, np.abs(cols - col) <= 1].mean(axis=1)
    return dict(
        row=(cols - col, near_row),
        column=(rows - row, near_col),
        distance=(distance, means),
    )
