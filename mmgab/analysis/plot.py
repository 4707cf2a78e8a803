"""Figures; the only module that imports matplotlib."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use('Agg')  # files only: no display is needed

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
        prediction: The same kind, predicted.
        scores: Confidence of each predicted instance; empty for label maps.
    """

    name: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    scores: Sequence[float] = ()


def plot_instances(tiles: Sequence[Tile], path: Path) -> None:
    """Draw outlines of true and predicted instances beside each other, a row for each tile.

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


def plot_gaussians(
    models: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], path: Path
) -> None:
    """Draw amplitude and sigma of every layer, before and after training.

    Args:
        models: For each model's name its values before and after, under names that end in
            ``.amplitude`` and ``.sigma``; layers in the order of the names.
        path: PNG file to write.
    """
    figure, grid = plt.subplots(
        len(models), 2, figsize=(9, 2.6 * len(models)), squeeze=False, layout='constrained'
    )
    quantities = (('amplitude', 'effective amplitude $a^2$ [logits]'), ('sigma', 'sigma [tokens]'))
    for row, (model, (before, after)) in zip(grid, models.items(), strict=True):
        for axes, (quantity, label) in zip(row, quantities, strict=True):
            names = [name for name in before if name.endswith(f'.{quantity}')]
            power = 2 if quantity == 'amplitude' else 1
            for values, style, when in ((before, 'o:', 'before'), (after, 'o-', 'after')):
                heights = [values[name] ** power for name in names]
                axes.plot(
                    heights, style, label=when, markerfacecolor='w' if when == 'before' else None
                )
            axes.set_xticks(range(len(names)), [str(i + 1) for i in range(len(names))])
            axes.set(xlabel='layer, from the image on', ylabel=label, title=model)
            axes.ticklabel_format(axis='y', useOffset=False)
            axes.grid(alpha=0.3)
            axes.legend()
    _save(figure, path)


def plot_tables(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], titles: Sequence[str], path: Path
) -> None:
    """Draw relative-position tables as maps over the offset, a row for each layer.

    Args:
        rows: Name of a layer and its maps ``(2Wh-1, 2Ww-1)``, in logits; one colour scale a row, on
            which 0 is the same colour in each.
        titles: What each column is.
        path: PNG file to write.
    """
    figure, grid = plt.subplots(
        len(rows),
        len(titles),
        figsize=(_INCHES * len(titles) + 1, _INCHES * len(rows)),
        squeeze=False,
        layout='constrained',
    )
    for line, (name, maps) in zip(grid, rows, strict=True):
        limit = max(max(abs(values.min()), abs(values.max())) for values in maps) or 1.0
        for axes, values, title in zip(line, maps, titles, strict=True):
            height, width = (side // 2 + 0.5 for side in values.shape)
            image = axes.imshow(
                values,
                cmap='RdBu_r',
                vmin=-limit,
                vmax=limit,
                extent=(-width, width, height, -height),
            )
            axes.set_title(title, fontsize=9)
        line[0].set_ylabel(f'{name}\ndy, tokens', fontsize=8)
        figure.colorbar(image, ax=list(line), label='logits, mean of the heads', shrink=0.8)
    for axes in grid[-1]:
        axes.set_xlabel('dx, tokens', fontsize=8)
    _save(figure, path)


def plot_benchmark(times: Mapping, scaling: Mapping, reference: str, path: Path) -> None:
    """Draw times as bars, relative to a reference, and time against image size as curves.

    Args:
        times: Mode to library to ``seconds`` and ``ratio``.
        scaling: Library to ``sides`` in pixels, ``seconds`` and ``exponent``.
        reference: The library that is 1.
        path: PNG file to write.
    """
    figure, (bars, curves) = plt.subplots(
        1, 2, figsize=(14, 1.2 * len(times)), width_ratios=(2, 1), layout='constrained'
    )
    names = list(next(iter(times.values())))
    height = 0.8 / len(names)
    for i, name in enumerate(names):
        places = [mode + (i - len(names) / 2) * height for mode in range(len(times))]
        bars.barh(places, [row[name]['ratio'] for row in times.values()], height, label=name)
    bars.axvline(1, color='k', linewidth=0.8)
    bars.set_yticks(range(len(times)), list(times), fontsize=8)
    bars.invert_yaxis()
    bars.set_xlabel(f'time, {reference} = 1; shorter is faster')
    bars.legend(fontsize=7)
    for name, row in scaling.items():
        label = f'{name}, exponent {row["exponent"]:.2f}'
        curves.plot([side**2 for side in row['sides']], row['seconds'], 'o-', label=label)
    curves.set(xscale='log', yscale='log', xlabel='pixels', ylabel='seconds, fp32 inference')
    curves.legend(fontsize=8)
    _save(figure, path)


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
    _save(figure, path)


def _outlines(axes: Axes, masks: np.ndarray, color: str) -> None:
    for mask in masks:
        if mask.any():
            # Padded, so that an outline closes at the edge of the image too.
            padded = np.pad(mask.astype(float), 1)
            side = np.arange(-1, len(padded) - 1)
            axes.contour(side, side, padded, levels=[0.5], colors=[color], linewidths=1)
    axes.set(xlim=(-0.5, masks.shape[-1] - 0.5), ylim=(masks.shape[-2] - 0.5, -0.5))


def _tint(axes: Axes, mask: np.ndarray, color: str) -> None:
    overlay = np.zeros((*mask.shape, 4))
    overlay[mask] = (*matplotlib.colors.to_rgb(color), 0.55)
    axes.imshow(overlay)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=130)
    plt.close(figure)
