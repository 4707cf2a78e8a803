"""Pictures of the Gaussians' parameters and of relative-position tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .figures import plt, save

_INCHES = 2.6  # side of one map


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
    save(figure, path)


def plot_layers(
    checkpoints: Mapping[str, tuple[Sequence[float], Sequence[float]]], path: Path
) -> None:
    """Draw amplitude and sigma of every layer, a line for each checkpoint.

    Args:
        checkpoints: For each checkpoint's name effective amplitudes, in logits, and sigmas, in
            tokens, in the order of the layers; NaN where a layer has no Gaussian.
        path: PNG file to write.
    """
    figure, grid = plt.subplots(1, 2, figsize=(10, 3.2), layout='constrained')
    labels = ('effective amplitude $a^2$ [logits]', 'sigma [tokens]')
    for which, (axes, label) in enumerate(zip(grid, labels, strict=True)):
        for name, values in checkpoints.items():
            places = range(1, len(values[which]) + 1)
            axes.plot(places, values[which], 'o-', label=name, markersize=4)
        axes.set(xlabel='layer, from the image on', ylabel=label)
        axes.ticklabel_format(axis='y', useOffset=False)
        axes.grid(alpha=0.3)
    grid[0].legend(fontsize=7)
    save(figure, path)


def plot_training(
    steps: Sequence[float],
    layers: Sequence[tuple[Sequence[float], Sequence[float]]],
    unit: str,
    path: Path,
) -> None:
    """Draw amplitude and sigma over training, a line for each layer.

    Args:
        steps: Where in training the values are of.
        layers: For each layer, from the image on, effective amplitudes, in logits, and sigmas, in
            tokens, at these steps.
        unit: What steps count.
        path: File to write.
    """
    figure, grid = plt.subplots(1, 2, figsize=(10, 3.2), layout='constrained')
    shade = plt.cm.ScalarMappable(plt.Normalize(1, max(len(layers), 2)), 'viridis')
    labels = ('effective amplitude $a^2$ [logits]', 'sigma [tokens]')
    for which, (axes, label) in enumerate(zip(grid, labels, strict=True)):
        for place, values in enumerate(layers, 1):
            axes.plot(steps, values[which], color=shade.to_rgba(place))
        axes.set(xlabel=unit, ylabel=label)
        axes.ticklabel_format(axis='y', useOffset=False)
        axes.grid(alpha=0.3)
    figure.colorbar(shade, ax=list(grid), label='layer, from the image on')
    save(figure, path)


def plot_tables(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    titles: Sequence[str],
    path: Path,
    label: str = 'logits, mean of the heads',
) -> None:
    """Draw maps over the relative offset, a row for each layer.

    Args:
        rows: Name of a layer and its maps ``(2Wh-1, 2Ww-1)``, at most as many as titles; one colour
            scale a row, on which 0 is the same colour in each.
        titles: What each column is.
        path: PNG file to write.
        label: What the colours are.
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
        for axes in line[len(maps) :]:
            axes.set_visible(False)
        for axes, values, title in zip(line, maps, titles, strict=False):
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
        figure.colorbar(image, ax=list(line), label=label, shrink=0.8)
    for axes in grid[-1]:
        axes.set_xlabel('dx, tokens', fontsize=8)
    save(figure, path)
