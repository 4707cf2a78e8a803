"""Pictures of effective receptive fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .figures import Axes, matplotlib, plt, save

_INCHES = 3.2
_DECADES = 4  # of a logarithmic scale: what is smaller is as dark as its end
_MAP = 'magma'
_LINES = dict(row='#1b9e77', column='#d95f02', distance='#7570b3')


@dataclass(frozen=True)
class ErfPicture:
    """A receptive field to draw.

    Attributes:
        title: What it is of; a line or two.
        contributions: ``(H, W)``.
        centre: The unit's row and column, in pixels.
    """

    title: str
    contributions: np.ndarray
    centre: tuple[float, float]

    @property
    def mass(self) -> np.ndarray:
        """Contributions in parts of the sum of their absolute values."""
        return self.contributions / np.abs(self.contributions).sum()


def plot_erf(picture: ErfPicture, heading: str, path: Path) -> None:
    """Draw one field: linear, logarithmic, and its profiles.

    Args:
        picture: The field.
        heading: Protocol, images and size, above all of it.
        path: PNG or PDF to write.
    """
    figure, (linear, decades, profiles) = plt.subplots(
        1, 3, figsize=(4.4 * _INCHES, 1.3 * _INCHES), layout='constrained'
    )
    figure.suptitle(f'{picture.title}\n{heading}', fontsize=10)
    top = np.abs(picture.mass).max()
    for axes, is_log in ((linear, False), (decades, True)):
        image = _draw(axes, picture, top, is_log)
        scale = 'logarithmic' if is_log else 'linear'
        figure.colorbar(image, ax=axes, shrink=0.85, label=f'part of the sum, {scale}')
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
    """Draw fields beside each other on one scale.

    Args:
        rows: Name of a row and its fields.
        heading: What all of them have in common.
        path: PNG or PDF to write.
        is_log: Of the colours.
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
    top = max(np.abs(p.mass).max() for pictures in rows.values() for p in pictures)
    for line, (name, pictures) in zip(grid, rows.items(), strict=True):
        for axes in line[len(pictures) :]:
            axes.axis('off')
        for axes, picture in zip(line, pictures, strict=False):
            image = _draw(axes, picture, top, is_log)
            axes.set_title(picture.title, fontsize=8)
        line[0].set_ylabel(f'{name}\npixels', fontsize=8)
    scale = 'logarithmic' if is_log else 'linear'
    figure.colorbar(image, ax=grid, shrink=0.8, label=f'part of the sum, {scale}')
    save(figure, path)


def plot_erf_difference(first: ErfPicture, second: ErfPicture, heading: str, path: Path) -> None:
    """Draw how one field differs from another of the same size.

    Args:
        first: A field.
        second: The one that it is subtracted from.
        heading: What both have in common.
        path: PNG or PDF to write.

    Raises:
        ValueError: If their sizes differ.
    """
    if first.mass.shape != second.mass.shape:
        raise ValueError(
            f'fields of {first.mass.shape} and {second.mass.shape} pixels have no difference'
        )
    difference = second.mass - first.mass
    figure, axes = plt.subplots(figsize=(1.5 * _INCHES, 1.3 * _INCHES), layout='constrained')
    figure.suptitle(heading, fontsize=9)
    limit = np.abs(difference).max() or 1.0
    image = axes.imshow(difference, cmap='RdBu_r', vmin=-limit, vmax=limit)
    axes.set(title=f'{second.title}\nminus {first.title}', xlabel='pixels', ylabel='pixels')
    figure.colorbar(image, ax=axes, shrink=0.85, label='part of the sum')
    save(figure, path)


def _draw(axes: Axes, picture: ErfPicture, top: float, is_log: bool) -> object:
    mass = picture.mass
    if is_log:
        bottom = top * 10.0**-_DECADES
        norm = matplotlib.colors.LogNorm(bottom, top)
        image = axes.imshow(np.abs(mass).clip(bottom), cmap=_MAP, norm=norm)
    elif mass.min() < 0:
        image = axes.imshow(mass, cmap='RdBu_r', vmin=-top, vmax=top)
    else:
        image = axes.imshow(mass, cmap=_MAP, vmin=0, vmax=top)
    row, col = picture.centre
    axes.plot(col, row, '+', color='w', markersize=5, markeredgewidth=0.7)
    axes.tick_params(labelsize=7)
    axes.set_xlabel('pixels', fontsize=8)
    return image


def _profiles(picture: ErfPicture) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Means over the unit's rows, its columns, and rings about it, by the distance from it."""
    mass, (row, col) = np.abs(picture.mass), picture.centre
    height, width = mass.shape
    rows, cols = np.arange(height), np.arange(width)
    ring = np.hypot(rows[:, None] - row, cols[None, :] - col).round().astype(int)
    means = np.bincount(ring.ravel(), mass.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    near_row = mass[np.abs(rows - row) <= 1].mean(axis=0)
    near_col = mass[:, np.abs(cols - col) <= 1].mean(axis=1)
    return dict(
        row=(cols - col, near_row),
        column=(rows - row, near_col),
        distance=(np.arange(len(means)), means),
    )
