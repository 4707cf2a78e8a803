"""Plots over the relative offset of two tokens: bias tables and attention weights."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .figures import Axes, AxesImage, Figure, plt, save

_INCHES = 2.6  # side of one map
_SMALL = 1.35  # side of the map of one head
_BAR = 0.8  # height of a colour bar, relative to its row
_HEADS = range(4, 9)  # allowed numbers of maps in a line of heads

Rows = Sequence[tuple[str, Sequence[np.ndarray]]]


def plot_tables(
    rows: Rows, titles: Sequence[str], path: Path, label: str = 'logits, mean of the heads'
) -> None:
    """Draw bias tables, a row for each layer.

    Args:
        rows: Name of each layer and its maps ``(2Wh-1, 2Ww-1)``, at most as many as titles. Each
            row has its own colour scale, centred on 0.
        titles: Title of each column.
        path: PNG file to write.
        label: Label of the colour bars.
    """
    figure, grid = _grid(len(rows), len(titles))
    for line, (name, maps) in zip(grid, rows, strict=True):
        for axes in line[len(maps) :]:
            axes.set_visible(False)
        shown = list(line[: len(maps)])
        image = _draw_row(shown, maps, is_signed=True)
        figure.colorbar(image, ax=shown, label=label, shrink=_BAR)
        _name(shown, name, titles)
    _finish(figure, grid, path)


def plot_weights(rows: Rows, titles: Sequence[str], path: Path) -> None:
    """Draw mean attention weights, a row for each layer.

    Args:
        rows: Name of each layer and its maps ``(2Wh-1, 2Ww-1)``. The difference of two maps is
            drawn as well.
        titles: Title of each map.
        path: PNG file to write.
    """
    columns = len(titles) + (len(titles) == 2)
    figure, grid = _grid(len(rows), columns)
    for line, (name, maps) in zip(grid, rows, strict=True):
        images = [_draw_row(line[: len(maps)], maps, is_signed=False)] * len(maps)
        names = [f'{title},\nmean of the heads' for title in titles]
        if len(maps) == 2:
            images.append(_draw_row(line[2:], [maps[0] - maps[1]], is_signed=True))
            names.append(f'{titles[0]}\nminus {titles[1]}')
        for axes, image in zip(line, images, strict=True):
            figure.colorbar(image, ax=axes, label='weight', shrink=_BAR)
        _name(line, name, names)
    _finish(figure, grid, path)


def plot_heads(rows: Rows, path: Path) -> None:
    """Draw mean attention weights of every head.

    Args:
        rows: Name of each layer and its maps ``(2Wh-1, 2Ww-1)`` of all heads, on one colour scale.
        path: PNG file to write.
    """
    columns = _columns([len(maps) for _, maps in rows])
    lines = [-(-len(maps) // columns) for _, maps in rows]
    figure = plt.figure(
        figsize=(_SMALL * columns + 1.6, _SMALL * 1.15 * sum(lines) + 0.3), layout='constrained'
    )
    layers = np.atleast_1d(figure.subfigures(len(rows), 1, height_ratios=lines))
    for layer, number, (name, maps) in zip(layers, lines, rows, strict=True):
        grid = layer.subplots(number, columns, squeeze=False)
        shown = list(grid.flat[: len(maps)])
        for axes in grid.flat:
            axes.axis('off')
        image = _draw_row(shown, maps, is_signed=False)
        layer.colorbar(image, ax=shown, label='weight', shrink=_BAR)
        for head, axes in enumerate(shown):
            axes.set_title(f'head {head}', fontsize=7)
        layer.supylabel(name, fontsize=8)
    save(figure, path)


def _columns(heads: Sequence[int]) -> int:
    """Return the number of maps in a line that leaves the fewest cells empty."""
    most = max(heads)
    if most <= _HEADS[-1]:
        return most
    return min(reversed(_HEADS), key=lambda columns: sum(-number % columns for number in heads))


def _grid(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    return plt.subplots(
        rows,
        columns,
        figsize=(_INCHES * columns + 1, _INCHES * rows),
        squeeze=False,
        layout='constrained',
    )


def _draw_row(row: Sequence[Axes], maps: Sequence[np.ndarray], is_signed: bool) -> AxesImage:
    """Draw maps on one colour scale, which starts at 0 or is centred on it."""
    limit = max(np.abs(values).max() for values in maps) or 1.0
    for axes, values in zip(row, maps, strict=True):
        height, width = (side // 2 + 0.5 for side in values.shape)
        image = axes.imshow(
            values,
            cmap='RdBu_r' if is_signed else 'magma',
            vmin=-limit if is_signed else 0,
            vmax=limit,
            extent=(-width, width, height, -height),
        )
    return image


def _name(line: Sequence[Axes], name: str, titles: Sequence[str]) -> None:
    for axes, title in zip(line, titles, strict=False):
        axes.set_title(title, fontsize=9)
    line[0].set_ylabel(f'{name}\ndy, tokens', fontsize=8)


def _finish(figure: Figure, grid: np.ndarray, path: Path) -> None:
    for axes in grid[-1]:
        axes.set_xlabel('dx, tokens', fontsize=8)
    save(figure, path)
