"""Plots of the Gaussians' parameters."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .figures import matplotlib, plt, save, widen_span

_LABELS = ('effective amplitude $a^2$ [logits]', 'sigma [tokens]')


def plot_gaussians(
    models: Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]], path: Path
) -> None:
    """Draw amplitude and sigma of every layer, before and after training.

    Args:
        models: Values before and after training, for each model's name. Names of values end in
            ``.amplitude`` and ``.sigma``, in the order of the layers.
        path: PNG file to write.
    """
    figure, grid = plt.subplots(
        len(models), 2, figsize=(9, 2.6 * len(models)), squeeze=False, layout='constrained'
    )
    quantities = tuple(zip(('amplitude', 'sigma'), _LABELS, strict=True))
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
            axes.grid(alpha=0.3)
            widen_span(axes)
            axes.legend()
    save(figure, path)


def plot_layers(
    checkpoints: Mapping[str, tuple[Sequence[float], Sequence[float]]], path: Path
) -> None:
    """Draw amplitude and sigma of every layer, a line for each checkpoint.

    Args:
        checkpoints: Effective amplitudes in logits and sigmas in tokens, for each checkpoint's
            name and in the order of the layers; NaN for a layer without a Gaussian.
        path: PNG file to write.
    """
    figure, grid = plt.subplots(1, 2, figsize=(10, 3.2), layout='constrained')
    for which, (axes, label) in enumerate(zip(grid, _LABELS, strict=True)):
        for name, values in checkpoints.items():
            places = range(1, len(values[which]) + 1)
            axes.plot(places, values[which], 'o-', label=name, markersize=4)
        axes.set(xlabel='layer, from the image on', ylabel=label)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        widen_span(axes)
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
        steps: Training steps of the values.
        layers: Effective amplitudes in logits and sigmas in tokens at these steps, for each layer,
            from input to output.
        unit: Unit of the steps.
        path: File to write.
    """
    figure, grid = plt.subplots(1, 2, figsize=(10, 3.2), layout='constrained')
    number = max(len(layers), 2)
    colours = plt.get_cmap('viridis', number)
    norm = plt.Normalize(0.5, number + 0.5)
    shade = plt.cm.ScalarMappable(norm, colours)
    for which, (axes, label) in enumerate(zip(grid, _LABELS, strict=True)):
        for place, values in enumerate(layers, 1):
            colour = colours(norm(place))
            axes.plot(steps, values[which], '.-', color=colour)
            axes.axhline(values[which][0], color=colour, linestyle=':', linewidth=0.8)
        axes.set(xlabel=f'{unit} (dotted: as in the first of them)', ylabel=label)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        widen_span(axes)
    ticks = matplotlib.ticker.MaxNLocator(integer=True)
    figure.colorbar(shade, ax=list(grid), label='layer, from the image on', ticks=ticks)
    save(figure, path)
