"""Plots of predictions next to their ground truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .figures import Axes, matplotlib, plt, save

_INCHES = 2.6  # side of one tile
_HIT = '#1b9e77'
_MISS = '#d95f02'


@dataclass(frozen=True)
class Tile:
    """One image with its truth and a prediction.

    Attributes:
        name: Title of its row.
        image: Grey levels ``(H, W)``.
        truth: Instance masks ``(n, H, W)`` or a label map ``(H, W)``.
        prediction: Predicted masks or label map, as in ``truth``.
        scores: Confidence of each predicted instance; empty for label maps.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    scores: Sequence[float] = ()


def plot_instances(tiles: Sequence[Tile], path: Path) -> None:
    """Draw outlines of true and predicted instances side by side, a row for each tile.

    Args:
        tiles: Instance tiles.
        path: PNG file to write.
    """

    def draw_truth(axes: Axes, tile: Tile) -> None:
        _outlines(axes, tile.truth, _HIT)
        axes.set_xlabel(f'{len(tile.truth)} nuclei')

    def draw_prediction(axes: Axes, tile: Tile) -> None:
        _outlines(axes, tile.prediction, _MISS)
        for mask, score in zip(tile.prediction, tile.scores, strict=True):
            if mask.any():
                row, col = np.argwhere(mask).mean(axis=0)
                axes.text(col, row, f'{score:.2f}', color='w', fontsize=5, ha='center', va='center')
        axes.set_xlabel(f'{len(tile.prediction)} predicted, with their scores')

    _plot_rows(tiles, draw_truth, draw_prediction, 'Instances: outlines of masks', path)


def plot_label_maps(tiles: Sequence[Tile], path: Path) -> None:
    """Draw true label maps, and predicted ones with the wrong pixels marked, a row for each tile.

    Args:
        tiles: Label-map tiles, 0 background and 1 object.
        path: PNG file to write.
    """

    def draw_truth(axes: Axes, tile: Tile) -> None:
        _tint(axes, tile.truth == 1, _HIT)
        axes.set_xlabel(f'{(tile.truth == 1).mean():.1%} nucleus')

    def draw_prediction(axes: Axes, tile: Tile) -> None:
        right = tile.prediction == tile.truth
        _tint(axes, (tile.prediction == 1) & right, _HIT)
        _tint(axes, ~right, _MISS)
        axes.set_xlabel(f'{(~right).mean():.1%} of pixels wrong (orange)')

    _plot_rows(tiles, draw_truth, draw_prediction, 'Pixels: background and nucleus', path)


def _plot_rows(
    tiles: Sequence[Tile],
    draw_truth: Callable[[Axes, Tile], None],
    draw_prediction: Callable[[Axes, Tile], None],
    title: str,
    path: Path,
) -> None:
    size = (3 * _INCHES, len(tiles) * _INCHES * 1.12)
    figure, grid = plt.subplots(len(tiles), 3, figsize=size, squeeze=False, layout='constrained')
    figure.suptitle(title)
    for axes, heading in zip(grid[0], ('image', 'truth', 'prediction'), strict=True):
        axes.set_title(heading)
    for row, tile in zip(grid, tiles, strict=True):
        for axes in row:
            axes.imshow(tile.image, cmap='gray', vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(tile.name)
        draw_truth(row[1], tile)
        draw_prediction(row[2], tile)
    save(figure, path)


def _outlines(axes: Axes, masks: np.ndarray, color: str) -> None:
    for mask in masks:
        if mask.any():
            # Padding closes outlines at the edge of the image.
            padded = np.pad(mask.astype(float), 1)
            side = np.arange(-1, len(padded) - 1)
            axes.contour(side, side, padded, levels=[0.5], colors=[color], linewidths=1)
    axes.set(xlim=(-0.5, masks.shape[-1] - 0.5), ylim=(masks.shape[-2] - 0.5, -0.5))


def _tint(axes: Axes, mask: np.ndarray, color: str) -> None:
    overlay = np.zeros((*mask.shape, 4))
    overlay[mask] = (*matplotlib.colors.to_rgb(color), 0.55)
    axes.imshow(overlay)
